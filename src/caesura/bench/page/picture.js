"use strict";
// Two codecs' pixels, divided by a line, and a close-up of all of them.
{
  const $ = (selector) => document.querySelector(selector);
  const place = $("#compare"), pair = $(".pair"), slide = $("#slide"), zoom = $("#zoom"), lens = $(".lens");
  const images = [...document.querySelectorAll(".window img")];
  const width = Number(place.dataset.width), height = Number(place.dataset.height);

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

  const divide = () => place.style.setProperty("--at", `${slide.value}%`);
  slide.addEventListener("input", divide);
  const drag = (event) => {
    const box = pair.getBoundingClientRect();
    slide.value = 100 * (event.clientX - box.x) / box.width;
    divide();
  };

  const x = $("#aim-x"), y = $("#aim-y");
  const aim = () => {
    place.style.setProperty("--x", x.value);
    place.style.setProperty("--y", y.value);
    const box = $(".window"), scale = Number(zoom.value);
    const w = box.clientWidth / 3 * scale, h = box.clientHeight / 3 * scale;
    Object.assign(lens.style, { width: `${w}px`, height: `${h}px`, left: `${x.value * scale - w / 2}px`, top: `${y.value * scale - h / 2}px` });
  };
  x.addEventListener("input", aim);
  y.addEventListener("input", aim);
  addEventListener("resize", aim);

  // Near the line a press drags it, elsewhere it aims; a finger that moves scrolls, as anywhere
  let dragging = false;
  pair.addEventListener("pointerdown", (event) => {
    const box = pair.getBoundingClientRect();
    dragging = Math.abs(event.clientX - box.x - box.width * slide.value / 100) < 24;
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
    place.style.setProperty("--w", `${width * zoom.value}px`);
    place.style.setProperty("--h", `${height * zoom.value}px`);
    aim();
  });
  zoom.dispatchEvent(new Event("change"));
  aim();
}
