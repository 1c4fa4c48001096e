/** The table of sizes and times. */

import { bitsPerPixel, seconds, size, speed } from "./words.ts";

/** A line of the table; times in seconds. */
export interface Line {
  name: string;
  /** Said below the name. */
  note?: string;
  /** Missing while it is not known. */
  bytes?: number;
  encodeSeconds?: number;
  decodeSeconds?: number;
}

/** Shows lines of pictures of so many pixels; the first is ours. Without lines, the table is hidden. */
export function showTable(table: HTMLTableElement, lines: readonly Line[], pixels: number): void {
  table.hidden = lines.length === 0;
  const body = table.tBodies[0] as HTMLTableSectionElement;
  body.replaceChildren(
    ...lines.map((line) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.append(line.name);
      if (line.note) {
        head.append(small(line.note));
      }
      const { bytes } = line;
      const sizes = bytes === undefined ? ["–", "–"] : [size(bytes), bitsPerPixel(bytes, pixels)];
      row.append(head, ...sizes.map((text) => cell(text)));
      for (const time of [line.encodeSeconds, line.decodeSeconds]) {
        row.append(time === undefined ? cell("–") : cell(seconds(time), speed(pixels, time)));
      }
      return row;
    }),
  );
}

function cell(text: string, below?: string): HTMLTableCellElement {
  const made = document.createElement("td");
  made.className = "n";
  made.append(text);
  if (below) {
    made.append(small(below));
  }
  return made;
}

function small(text: string): HTMLElement {
  const made = document.createElement("small");
  made.textContent = text;
  return made;
}
