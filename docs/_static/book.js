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
