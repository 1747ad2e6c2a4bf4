// A link into what is folded opens it: an answer, or code.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let part = target; part; part = part.parentElement) {
    if (part.matches("details")) part.open = true;
  }
  target.scrollIntoView();
}
addEventListener("load", openTarget);
addEventListener("hashchange", openTarget);
addEventListener("click", (event) => {
  if (event.target.closest?.('a[href^="#"]')) setTimeout(openTarget); // also to where one is
});

// On paper the page is light.
let shown;
addEventListener("beforeprint", () => {
  shown = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => (document.documentElement.dataset.theme = shown));

// An equation or a figure that scrolls in its box is reached by keyboard, as the theme has it for code,
// and fades at its edge as long as it goes on.
const left = (box) => box.scrollWidth - box.clientWidth - box.scrollLeft;
const fade = (box) => box.classList.toggle("goes-on", left(box) > 2);
const boxes = new ResizeObserver((changed) => {
  for (const { target } of changed) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
    fade(target);
  }
});
addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("div.math > .box, .figure-box")) {
    boxes.observe(box);
    box.addEventListener("scroll", () => fade(box), { passive: true });
  }
});

// The squares of a grid of answers are read in the line below it: by pointer, touch, and arrow keys.
function readable(grid) {
  const squares = [...grid.querySelectorAll("title")].map((title) => title.parentElement);
  const side = Math.sqrt(squares.length);
  const line = document.createElement("output");
  line.textContent = "Tap a square, point at it, or use the arrow keys.";
  grid.after(line);
  grid.setAttribute("role", "application");
  grid.setAttribute("tabindex", "0");
  let at = 0;
  function read(place) {
    squares[at].classList.remove("read");
    at = place;
    squares[at].classList.add("read");
    line.textContent = squares[at].textContent;
  }
  for (const type of ["pointerdown", "pointermove"])
    grid.addEventListener(type, ({ target }) => {
      const place = squares.indexOf(target.closest("rect, circle"));
      if (place >= 0) read(place);
    });
  grid.addEventListener("focus", () => grid.matches(":focus-visible") && read(at));
  grid.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [column, row] = [(at % side) + step[0], Math.floor(at / side) + step[1]];
    if (Math.min(column, row) >= 0 && Math.max(column, row) < side) read(side * row + column);
    line.scrollIntoView({ block: "nearest" });
  });
}
addEventListener("DOMContentLoaded", () =>
  document.querySelectorAll(".error-grids svg").forEach(readable)
);
