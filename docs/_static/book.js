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

// An equation or a figure that scrolls in its box is reached by keyboard, as the theme has it for code.
const boxes = new ResizeObserver((changed) => {
  for (const { target } of changed) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("div.math > .box, .figure-box").forEach((box) => boxes.observe(box));
});
