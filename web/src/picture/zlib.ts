/** zlib streams, by the browser's own implementation. */

import { joined } from "../bytes.ts";
import { FormatError, LimitError } from "../errors.ts";

// A browser inflates all that it is given at once, to a thousand times its size: little at a time bounds it.
const SLICE = 1 << 14;

/** The zlib stream of some bytes. */
export async function deflate(data: Uint8Array): Promise<Uint8Array> {
  return joined(await collected(data, new CompressionStream("deflate")));
}

/**
 * The bytes of a zlib stream, at most `most`.
 *
 * @param field What errors name.
 * @throws FormatError if `data` is not one complete zlib stream of at least one byte.
 * @throws LimitError if there are more; inflating ends as soon as this is known.
 */
export async function inflate(data: Uint8Array, most: number, field: string): Promise<Uint8Array> {
  const content = await inflateStart(data, most + 1, field);
  if (content.length > most) {
    throw new LimitError(`${field}: more than ${most} bytes; at most that are allowed`);
  }
  if (!content.length) {
    throw notWhole(data, field);
  }
  return content;
}

/**
 * The first `length` bytes of a zlib stream, or all that it has; what is behind them is not inflated.
 *
 * @throws FormatError if `data` does not start with a zlib stream, or ends within it and before `length` bytes.
 */
export async function inflateStart(data: Uint8Array, length: number, field: string): Promise<Uint8Array> {
  if (data.length >= 2 && ((data[0] & 0x0f) !== 8 || ((data[0] << 8) | data[1]) % 31)) {
    throw new FormatError(`${field}: not a zlib stream: incorrect header check`);
  }
  try {
    return joined(await collected(data, new DecompressionStream("deflate"), length)).subarray(0, length);
  } catch {
    // The stream's own errors say nothing that all browsers share.
    throw notWhole(data, field);
  }
}

function notWhole(data: Uint8Array, field: string): FormatError {
  return new FormatError(`${field}: ${data.length} bytes are not one whole zlib stream of at least one byte`);
}

/** What a transform makes of some bytes, in parts, until there are `enough` or it ends. */
async function collected(
  data: Uint8Array,
  transform: ReadableWritablePair<Uint8Array, BufferSource>,
  enough = Number.POSITIVE_INFINITY,
): Promise<Uint8Array[]> {
  let position = 0;
  const source = new ReadableStream<BufferSource>({
    pull(controller) {
      if (position >= data.length) {
        controller.close();
        return;
      }
      controller.enqueue(data.slice(position, position + SLICE));
      position += SLICE;
    },
  });
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = source.pipeThrough(transform).getReader();
  while (length < enough) {
    const { done, value } = await reader.read();
    if (done) {
      return parts;
    }
    parts.push(value);
    length += value.length;
  }
  await reader.cancel();
  return parts;
}
