/** The examples that are bundled with the page. */

const FOLDER = "examples/";

interface Example {
  name: string;
  file: string;
  title: string;
}

async function list(): Promise<Example[]> {
  const response = await fetch(`${FOLDER}index.json`);
  return response.ok ? ((await response.json()) as Example[]) : [];
}

/** Shows all examples in a list, in a section that stays hidden if there are none. */
export async function showGallery(section: HTMLElement, gallery: HTMLElement): Promise<void> {
  const examples = await list();
  gallery.replaceChildren(
    ...examples.map(({ name, file, title }) => {
      const picture = document.createElement("cae-image");
      picture.setAttribute("loading", "lazy");
      picture.setAttribute("alt", "");
      picture.setAttribute("src", FOLDER + file);
      const link = document.createElement("a");
      link.href = `#example=${encodeURIComponent(name)}`;
      link.append(picture, title);
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
  section.hidden = examples.length === 0;
}

/** The bytes and title of an example. */
export async function takeExample(
  name: string,
  signal: AbortSignal,
): Promise<{ data: Uint8Array; title: string }> {
  const found = (await list()).find((example) => example.name === name);
  const response = found && (await fetch(FOLDER + found.file, { signal }));
  if (!response?.ok) {
    throw new Error(`There is no example ${name}.`);
  }
  return { data: new Uint8Array(await response.arrayBuffer()), title: found?.title ?? name };
}
