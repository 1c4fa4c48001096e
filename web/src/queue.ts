/** The order in which the pictures of a page are decoded. */

/** A picture to be decoded. */
export interface Job {
  /** Whether it is in the viewport. */
  readonly visible: boolean;
  /** Whether its preview is shown. */
  readonly previewed: boolean;
  /** Whether it is shown, or cannot be: nothing is left to do. */
  readonly done: boolean;
  /**
   * Decodes it. Errors are its own affair.
   *
   * @param signal ends decoding
   * @param onlyPreview leaves the picture for a later run
   */
  run(signal: AbortSignal, onlyPreview: boolean): Promise<void>;
}

/** Runs one job at a time: visible ones before others, and of these those without a preview first. */
export class Queue {
  readonly #jobs = new Set<Job>();
  #running: { job: Job; abort: AbortController } | undefined;
  #scheduled = false;

  /** Adds a job; nothing happens if it is there already. */
  add(job: Job): void {
    this.#jobs.add(job);
    this.update();
  }

  /** Removes a job, and ends it if it runs. */
  remove(job: Job): void {
    this.#jobs.delete(job);
    if (this.#running?.job === job) {
      this.#running.abort.abort();
    }
  }

  /** To be called when jobs have become visible, or have more to do. */
  update(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#next();
      });
    }
  }

  #next(): void {
    if (this.#running) {
      if (!this.#running.job.visible && this.#open().some((job) => job.visible)) {
        this.#running.abort.abort();
      }
      return;
    }
    const jobs = this.#open().sort((one, other) => rank(one) - rank(other));
    const [job, second] = jobs;
    if (job) {
      void this.#run(job, !job.previewed && second !== undefined && rank(second) === rank(job));
    }
  }

  async #run(job: Job, onlyPreview: boolean): Promise<void> {
    const abort = new AbortController();
    this.#running = { job, abort };
    await job.run(abort.signal, onlyPreview);
    this.#running = undefined;
    if (job.done) {
      this.#jobs.delete(job);
    }
    this.update();
  }

  #open(): Job[] {
    return [...this.#jobs].filter((job) => !job.done);
  }
}

function rank(job: Job): number {
  return (job.visible ? 0 : 2) + (job.previewed ? 1 : 0);
}
