// Live figures: what a still figure shows, with knobs. This file is the frame of each: its panels,
// its controls, the line that says what is seen, and its state in the page's address.
//
// These are plain scripts and no modules: a browser refuses to load a module, or data by fetch, from
// a disk (file://), and the book must open from there. So each file adds a few names to one scope,
// and data come as scripts too. docs/_ext/live.py puts on a page the scripts that it needs.

const folderOfScripts = new URL(".", document.currentScript.src).href;
const figures = {}; // what builds each figure, by name

function make(tag, attributes = {}, ...children) {
  const part = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
  part.append(...children);
  return part;
}

// Numbers as the page writes them, with a true minus.
function number(value, digits = 2) {
  return (Object.is(value, -0) ? 0 : value).toFixed(digits).replace("-", "−").replace(/^−(0\.?0*)$/, "$1");
}
function power(value) {
  if (value === 0) return "0";
  if (Math.abs(value) >= 0.01 && Math.abs(value) < 1000) return String(+value.toPrecision(2)).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(1).replace(".0e", "e").split("e");
  const raised = [...exponent.replace("+", "")].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("");
  return `${mantissa.replace("-", "−")}·10${raised}`;
}

// Positive numbers that sum to one, from a list of any; less the largest, no exponential is too large.
const softmax = (scores) => {
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};

// A number of the address, brought between two limits; nothing if it is none.
function readNumber(text, low, high, whole = false) {
  const fits = text.trim() && (whole ? Number.isInteger : Number.isFinite)(+text);
  return fits ? Math.min(high, Math.max(low, +text)) : undefined;
}

// Arrays that a page has written when it ran: a script of that name beside this one calls `liveData`.
const dataOfPages = {};
function liveData(name, { about, shapes, floats, integers, scales }) {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const arrays = {};
  const numbers = floats ? new Float32Array(bytes(floats)) : Float32Array.from(new Int16Array(bytes(integers)));
  const scale = scales && new Float32Array(bytes(scales));
  let [at, row] = [0, 0];
  for (const [key, shape] of Object.entries(shapes)) {
    const columns = shape.at(-1);
    const data = numbers.subarray(at, (at += shape.reduce((a, b) => a * b)));
    // rounded: each row of integers times its number
    if (scale) data.forEach((v, i) => (data[i] = v * scale[row + Math.floor(i / columns)]));
    row += data.length / columns;
    arrays[key] = { shape, data };
  }
  dataOfPages[name] = { about, arrays };
}
const onTheWay = {};
function loadData(name) {
  return (onTheWay[name] ??= new Promise((done, fail) => {
    const script = make("script", { src: `${folderOfScripts}data/${name}.js` });
    script.addEventListener("load", () => done(dataOfPages[name]));
    script.addEventListener("error", fail);
    document.head.append(script);
  }));
}

class Figure {
  constructor(place) {
    this.place = place;
    this.values = {};
    this.first = {}; // the values it starts with
    this.shown = []; // what shows values where they are set
    this.asked = new URLSearchParams(location.search);
    this.panels = make("div", { class: "live-panels" });
    this.knobs = make("div", { class: "live-knobs" });
    this.line = make("p", { class: "live-line" });
    this.spoken = make("p", { class: "live-spoken", role: "status" });
    const again = make("button", { type: "button", class: "live-again" }, "Start again");
    again.addEventListener("click", () => {
      this.reset?.();
      this.set(this.first, true);
    });
    this.parts = make("div", {}, this.panels, this.knobs, make("div", { class: "live-foot" }, this.line, again), this.spoken);
  }

  // A value of the state, which starts as given or as the address has it: `read` makes it of text.
  keep(name, value, read) {
    const asked = this.asked.has(name) ? read(this.asked.get(name)) : undefined;
    this.first[name] = value;
    this.values[name] = asked ?? value;
  }

  set(values, done = false) {
    Object.assign(this.values, values);
    this.update();
    if (done) this.settle();
  }

  update() {
    if (!this.place.firstChild) return;
    this.shown.forEach((show) => show());
    this.draw(this.values);
  }

  // When a hand leaves a knob: what is seen is said, and the address leads to it.
  settle() {
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      this.spoken.textContent = this.line.textContent;
      const address = new URL(location.href);
      for (const [name, value] of Object.entries(this.values)) {
        if (String(value) === String(this.first[name])) address.searchParams.delete(name);
        else address.searchParams.set(name, value);
      }
      if (address.href !== location.href) history.replaceState(history.state, "", address);
    }, 300);
  }

  say(html) {
    this.line.innerHTML = html;
  }

  // A slider. `log` gives one whose equal steps are equal factors; `text` shows a value.
  // `whole` numbers only.
  knob(name, { letter, words, min, max, step, value, log = false, whole = false, text = (v) => number(v) }) {
    const exact = whole ? Math.round : (v) => +v.toPrecision(3);
    const [to, from] = log ? [Math.log10, (v) => exact(10 ** v)] : [(v) => v, (v) => v];
    const slider = make("input", { type: "range", min: to(min), max: to(max), step });
    const shown = make("output", { class: "live-value" });
    const title = make("span", { class: "live-name" });
    title.innerHTML = `<i class="live-letter">${letter}</i> ${words}`;
    this.knobs.append(make("label", { class: "live-knob" }, title, shown, slider));
    this.keep(name, value, (given) => readNumber(given, min, max, whole));
    this.shown.push(() => {
      slider.value = to(this.values[name]);
      shown.innerHTML = text(this.values[name]);
      slider.setAttribute("aria-valuetext", shown.textContent);
    });
    slider.addEventListener("input", () => this.set({ [name]: from(+slider.value) }));
    slider.addEventListener("change", () => this.settle());
  }

  // One of a few: `options` maps values to words.
  choice(name, { words, options, value }) {
    const box = make("fieldset", { class: "live-choice" }, make("legend", {}, words));
    const buttons = Object.entries(options).map(([option, label]) => {
      const button = make("input", { type: "radio", name: `live-${name}`, value: option });
      button.addEventListener("change", () => this.set({ [name]: option }, true));
      box.append(make("label", {}, button, make("span", {}, label)));
      return button;
    });
    this.keep(name, value, (given) => (Object.hasOwn(options, given) ? given : undefined));
    this.shown.push(() => buttons.forEach((button) => (button.checked = button.value === this.values[name])));
    this.knobs.append(box);
  }

  // Any of a few; what is kept is which are left out, joined by hyphens.
  several(name, { words, options }) {
    const box = make("fieldset", { class: "live-choice" }, make("legend", {}, words));
    const out = () => this.values[name].split("-").filter(Boolean);
    const buttons = Object.entries(options).map(([option, label]) => {
      const button = make("input", { type: "checkbox", value: option });
      button.addEventListener("change", () => {
        const left = buttons.filter((each) => !each.checked).map((each) => each.value);
        this.set({ [name]: left.join("-") }, true);
      });
      box.append(make("label", {}, button, make("span", {}, label)));
      return button;
    });
    this.keep(name, "", (given) => (given.split("-").every((each) => Object.hasOwn(options, each)) ? given : undefined));
    this.shown.push(() => buttons.forEach((button) => (button.checked = !out().includes(button.value))));
    this.knobs.append(box);
  }

  panel(options) {
    return new Panel(this, options);
  }
}

// A figure is made when it is near the screen.
document.addEventListener("DOMContentLoaded", () => {
  const near = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      build(target);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll("[data-live]").forEach((place) => near.observe(place));
});

async function build(place) {
  try {
    const figure = new Figure(place);
    await figures[place.dataset.live](figure, place.dataset);
    place.append(figure.parts);
    figure.update();
  } catch (error) {
    place.replaceChildren();
    place.classList.add("live-failed"); // the still one is shown instead
    throw error;
  }
}
