import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type Job, Queue } from "../src/queue.ts";

/** A picture that is decoded when `finish` is called, and says what it does. */
class Picture implements Job {
  previewed = false;
  done = false;
  finish = () => {};
  readonly name: string;
  readonly log: string[];
  visible: boolean;

  constructor(name: string, visible: boolean, log: string[]) {
    this.name = name;
    this.visible = visible;
    this.log = log;
  }

  async run(signal: AbortSignal, onlyPreview: boolean): Promise<void> {
    this.log.push(`${this.name}${onlyPreview ? " preview" : ""}`);
    await new Promise<void>((resolve) => {
      this.finish = resolve;
      signal.addEventListener("abort", () => resolve());
    });
    if (signal.aborted) {
      this.log.push(`${this.name} aborted`);
    } else {
      this.previewed = true;
      this.done = !onlyPreview;
    }
  }
}

test("visible pictures come first, their previews before any of them", async () => {
  const log: string[] = [];
  const [far, one, other] = ["far", "one", "other"].map((name) => new Picture(name, name !== "far", log));
  const queue = new Queue();
  for (const job of [far, one, other] as Picture[]) {
    queue.add(job);
  }
  for (let turn = 0; turn < 5; turn++) {
    await setImmediate();
    for (const job of [far, one, other] as Picture[]) {
      job.finish();
    }
  }
  assert.deepEqual(log, ["one preview", "other", "one", "far"]);
});

test("one that is not visible makes way, and goes on later; a removed one does not", async () => {
  const log: string[] = [];
  const [far, near] = [new Picture("far", false, log), new Picture("near", true, log)];
  const queue = new Queue();
  queue.add(far);
  await setImmediate();
  queue.add(near);
  await setImmediate();
  near.finish();
  await setImmediate();
  queue.remove(far);
  await setImmediate();
  assert.deepEqual(log, ["far", "far aborted", "near", "far", "far aborted"]);
});
