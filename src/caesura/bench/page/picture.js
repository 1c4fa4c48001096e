"use strict";
// Comparison of two codecs, divided by a line, and close-ups of all codecs.
{
  const $ = (selector) => document.querySelector(selector);
  const compare = $("#compare"), stage = $(".stage"), pair = $(".pair"), slide = $("#slide"), zoom = $("#zoom"), lens = $(".lens");
  const images = [...document.querySelectorAll(".window img")];
  const width = Number(compare.dataset.width), height = Number(compare.dataset.height);

  const side = (choice, image, label) => {
    const show = () => {
      const one = images[choice.value];
      image.src = one.src;
      image.alt = one.alt;
      label.textContent = one.dataset.label;
    };
    choice.addEventListener("change", show);
    show();
  };
  side($("#left"), $("#over"), $("#left-label"));
  side($("#right"), $("#under"), $("#right-label"));

  // The slider spans the visible part of the pair, which may be wider than the screen
  const line = () => stage.scrollLeft + stage.clientWidth * slide.value / 100;
  const divide = () => compare.style.setProperty("--at", `${line()}px`);
  slide.addEventListener("input", divide);
  stage.addEventListener("scroll", divide);
  const drag = (event) => {
    slide.value = 100 * (event.clientX - stage.getBoundingClientRect().x) / stage.clientWidth;
    divide();
  };

  const x = $("#aim-x"), y = $("#aim-y");
  const aim = () => {
    const box = $(".window"), scale = Number(zoom.value), w = box.clientWidth / 3, h = box.clientHeight / 3;
    const within = (input, part, side) => part >= side ? side / 2 : Math.min(Math.max(input.value, part / 2), side - part / 2);
    const middle = { x: within(x, w, width), y: within(y, h, height) };
    compare.style.setProperty("--x", middle.x);
    compare.style.setProperty("--y", middle.y);
    Object.assign(lens.style, {
      width: `${w * scale}px`, height: `${h * scale}px`,
      left: `${(middle.x - w / 2) * scale}px`, top: `${(middle.y - h / 2) * scale}px`,
    });
  };
  x.addEventListener("input", aim);
  y.addEventListener("input", aim);
  addEventListener("resize", () => { aim(); divide(); });

  // A press near the line drags it, elsewhere it moves the close-up; a moving finger scrolls
  let dragging = false;
  pair.addEventListener("pointerdown", (event) => {
    dragging = Math.abs(event.clientX - pair.getBoundingClientRect().x - line()) < 24;
    if (dragging) { pair.setPointerCapture(event.pointerId); event.preventDefault(); }
  });
  pair.addEventListener("pointermove", (event) => { if (dragging) drag(event); });
  pair.addEventListener("touchmove", (event) => { if (dragging) event.preventDefault(); }, { passive: false });
  for (const end of ["pointerup", "pointercancel"]) pair.addEventListener(end, () => setTimeout(() => { dragging = false; }));
  pair.addEventListener("click", (event) => {
    if (dragging) return;
    const box = pair.getBoundingClientRect(), scale = Number(zoom.value);
    x.value = (event.clientX - box.x) / scale;
    y.value = (event.clientY - box.y) / scale;
    aim();
  });

  zoom.addEventListener("change", () => {
    compare.style.setProperty("--w", `${width * zoom.value}px`);
    compare.style.setProperty("--h", `${height * zoom.value}px`);
    aim();
    divide();
  });
  zoom.dispatchEvent(new Event("change"));
}
