import assert from "node:assert/strict";
import { test } from "node:test";
import { appearance, uprightSize } from "../src/display.ts";

const text = (ascii: string) => new TextEncoder().encode(ascii);

/** EXIF of one tag, the orientation, as 16 bits. */
function exif(order: "II" | "MM", orientation: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(26));
  const little = order === "II";
  new Uint8Array(view.buffer).set(text(order));
  view.setUint16(2, 42, little);
  view.setUint32(4, 8, little);
  view.setUint16(8, 1, little);
  view.setUint16(10, 274, little);
  view.setUint16(12, 3, little);
  view.setUint32(14, 1, little);
  view.setUint16(18, orientation, little);
  return new Uint8Array(view.buffer);
}

/** An ICC profile of nothing but a description. */
function icc(description: Uint8Array): Uint8Array {
  const profile = new Uint8Array(144 + description.length);
  const view = new DataView(profile.buffer);
  view.setUint32(128, 1);
  profile.set(text("desc"), 132);
  view.setUint32(136, 144);
  view.setUint32(140, description.length);
  profile.set(description, 144);
  return profile;
}

test("the orientation is that of EXIF, else of XMP, else 1", () => {
  const xmp = text('<rdf:Description tiff:Orientation="8"/>');
  for (const order of ["II", "MM"] as const) {
    assert.equal(appearance({ exif: exif(order, 6), xmp }).orientation, 6);
    assert.equal(appearance({ exif: exif(order, 9), xmp }).orientation, 1);
    assert.equal(appearance({ exif: exif(order, 6).subarray(0, 9), xmp }).orientation, 8);
  }
  assert.equal(appearance({}).orientation, 1);
  assert.deepEqual(uprightSize(3, 2, 4), [3, 2]);
  assert.deepEqual(uprightSize(3, 2, 5), [2, 3]);
});

test("Display P3 is recognised by its description, in ASCII and in UTF-16", () => {
  const wide = Uint8Array.from([
    ...text("mluc"),
    ...[..."Display P3"].flatMap((one) => [0, one.charCodeAt(0)]),
  ]);
  assert.equal(appearance({ icc: icc(wide) }).colorSpace, "display-p3");
  assert.equal(appearance({ icc: icc(text("desc\0\0\0\0Display P3")) }).colorSpace, "display-p3");
  assert.equal(appearance({ icc: icc(text("desc\0\0\0\0sRGB")) }).colorSpace, "srgb");
  assert.equal(appearance({ icc: new Uint8Array(200).fill(255) }).colorSpace, "srgb");
});
