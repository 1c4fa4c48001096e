"use strict";
// Tooltips of plots, the legend's buttons, choice of anchor and metric, sorting of tables.
{
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const readout = $("#readout");

  // Tooltips: of the nearest visible mark
  const texts = new WeakMap();
  const textOf = (mark) => {
    const title = $("title", mark);
    if (title) { texts.set(mark, title.textContent); title.remove(); }
    return texts.get(mark);
  };
  const clear = () => {
    readout.hidden = true;
    all(".reading").forEach((svg) => svg.classList.remove("reading"));
    all(".near").forEach((one) => one.classList.remove("near"));
  };
  const read = (event) => {
    const svg = event.target.closest?.("svg.plot");
    clear();
    if (!svg) return;
    let nearest = null, least = 36, x = 0, y = 0;
    for (const mark of all(".mark", svg)) {
      textOf(mark);
      if (!mark.getClientRects().length) continue;
      const box = mark.getBoundingClientRect(), left = box.x + box.width / 2, top = box.y + box.height / 2;
      const distance = Math.hypot(left - event.clientX, top - event.clientY);
      if (distance < least) { least = distance; nearest = mark; x = left; y = top; }
    }
    if (!nearest) return;
    nearest.classList.add("near");
    const series = nearest.closest(".series");
    all(`.${series.classList[1]}`, svg).forEach((one) => one.classList.add("near"));
    svg.classList.add("reading");
    readout.textContent = textOf(nearest);
    readout.hidden = false;
    const width = document.documentElement.clientWidth;
    const left = x + 14 + readout.offsetWidth < width ? x + 14 : Math.max(4, x - 14 - readout.offsetWidth);
    readout.style.left = `${left + scrollX}px`;
    readout.style.top = `${Math.max(4, y - readout.offsetHeight - 10) + scrollY}px`;
  };
  document.addEventListener("pointermove", read);
  document.addEventListener("pointerdown", read);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") clear(); });

  // Legend: checkboxes work without a script; pointing at a name highlights its curves
  for (const button of all("[data-show]")) {
    button.addEventListener("click", () => {
      all(".legend input").forEach((box) => { box.checked = button.dataset.show === "all"; });
    });
  }
  for (const label of all(".legend label")) {
    const mark = (on) => () => {
      clear();
      if (!on) return;
      all("svg.plot").forEach((svg) => svg.classList.add("reading"));
      all(`.series.s${label.dataset.key}`).forEach((one) => one.classList.add("near"));
    };
    label.addEventListener("pointerenter", mark(true));
    label.addEventListener("pointerleave", mark(false));
  }

  // The anchor and the metric: other views lie in templates
  const show = (container, view) => {
    const now = $(".view", container);
    if (now.dataset.view === view) return;
    const kept = document.createElement("template");
    kept.dataset.view = now.dataset.view;
    kept.content.append(...now.childNodes);
    const template = $(`template[data-view="${view}"]`, container);
    now.append(template.content);
    now.dataset.view = view;
    template.replaceWith(kept);
  };
  const anchor = $("#anchor"), metric = $("#metric");
  const choose = () => {
    clear();
    show($("#scatters"), `${anchor.value}-${metric.value}`);
    show($("#tables"), anchor.value);
    $("#against").textContent = anchor.selectedOptions[0].textContent;
  };
  anchor?.addEventListener("change", choose);
  metric?.addEventListener("change", choose);
  if (anchor) choose(); // a browser may keep what was chosen before

  // Tables: by a column, again the other way round; what has no value is last
  const key = (row, column) => {
    const cell = row.cells[column], value = cell.dataset.value;
    if (value !== undefined) return Number(value);
    return cell.matches(".n") ? NaN : cell.textContent.trim();
  };
  const compare = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".sorts thead button");
    if (!button) return;
    const head = button.parentNode, table = head.closest("table");
    const up = head.getAttribute("aria-sort") !== "ascending";
    all("[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [key(row, head.cellIndex), row]);
    const none = (value) => Number(Number.isNaN(value));
    rows.sort(([a], [b]) => none(a) - none(b) || (none(a) ? 0 : up ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  });
}
