/** The CRC-32 of zlib and PNG. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) {
    value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return value;
});

/** The CRC-32 of all bytes, 0 to 2^32 - 1. */
export function crc32(data: Uint8Array): number {
  let value = 0xffffffff;
  for (let i = 0; i < data.length; i++) {
    value = TABLE[(value ^ data[i]) & 0xff] ^ (value >>> 8);
  }
  return ~value >>> 0;
}
