// Translate anything: a word or a sentence is written letter by letter by one of the book's translators.
// A letter that is pointed at shows what else it might have been, and what each layer looked at for it.

const TRANSLATORS = {
  "small-32": "32, small list",
  "small-64": "64, small list",
  "large-32": "32, large list",
  "large-64": "64, large list",
  "tuned-32": "32, large, tuned",
  "tuned-64": "64, large, tuned",
};
const WORDS = 8;
const END = "⏎";
const written = (token) => (token === EOS ? END : token === SOS ? "start" : ALPHABET[token]);

// What is wrong with a text, or nothing.
function whyNot(text) {
  const words = text.split(" ");
  if (!text) return "Type a word, or a few.";
  const unknown = [...text].find((letter) => letter !== " " && !ALPHABET.includes(letter));
  if (unknown) return `The translators know the letters a to z and the hyphen, and not “${unknown}”.`;
  if (words.some((word) => !/^[a-z]+(-[a-z]+)*$/.test(word))) return "A hyphen stands between two letters.";
  if (words.length > WORDS) return `At most ${WORDS} words at once.`;
  if (words.some((word) => word.length > LONGEST)) return `At most ${LONGEST} letters a word.`;
  return "";
}

figures.translate = async (figure, { word: first = "working", translator = "large-32", brief }) => {
  const field = make("input", { type: "text", class: "live-text-field", maxlength: 200, autocomplete: "off",
    autocapitalize: "off", spellcheck: "false" });
  const letters = make("div", { class: "live-letters", role: "group", "aria-label": "Translation, letter by letter" });
  const truth = make("p", { class: "live-truth" });
  const maps = make("div", { class: "live-maps" });
  const chances = make("div", { class: "live-chances" });
  figure.panels.classList.add("live-translation");
  figure.panels.append(make("label", { class: "live-field" }, make("span", {}, "type a word"), field),
    make("div", {}, letters, truth), maps);

  figure.keep("word", first, (text) => text);
  figure.keep("at", 0, (text) => readNumber(text, 0, 400, true));
  figure.choice("by", { words: "width and words", options: TRANSLATORS, value: translator });
  figure.choice("look", { words: "it looks at", value: "cross",
    options: { cross: "the English letters", self: "the letters written" } });
  if (brief) figure.knobs.remove();
  field.addEventListener("input", () => figure.set({ word: field.value, at: 0 }));
  field.addEventListener("change", () => figure.settle());
  figure.shown.push(() => {
    if (document.activeElement !== field) field.value = figure.values.word;
  });

  const choose = (at, done) => {
    figure.set({ at: Math.max(0, Math.min(letters.children.length - 1, at)) }, done);
    letters.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
  };
  letters.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!way) return;
    event.preventDefault();
    choose(figure.values.at + way, true);
  });
  for (const type of ["click", "pointerover"])
    letters.addEventListener(type, ({ target, pointerType }) => {
      const at = [...letters.children].indexOf(target.closest("button"));
      if (at < 0 || (type === "pointerover" && pointerType !== "mouse")) return;
      if (type === "click") choose(at, true);
      else if (at !== figure.values.at) figure.set({ at });
    });

  let width = innerWidth;
  addEventListener("resize", () => innerWidth === width || ((width = innerWidth), figure.update()));

  const models = {};
  let shownText;
  figure.draw = ({ word: given, at, by, look }) => {
    const text = given.toLowerCase().trim().replace(/\s+/g, " ");
    const fault = whyNot(text);
    if (!fault && !models[by]) {
      figure.say("The translator is on its way …");
      loadData(by).then((data) => {
        models[by] = data;
        figure.update();
      }, () => figure.say("This translator could not be loaded."));
      return;
    }
    for (const part of [letters, truth, maps]) part.hidden = Boolean(fault);
    if (fault) {
      figure.line.textContent = fault;
      return;
    }
    const { arrays: model, about } = models[by];
    const all = text.split(" ").flatMap((word, n) => {
      const steps = translateWord(model, word);
      const right = `${pigLatin(word)}${END}`;
      return steps.map((step, t) => ({ ...step, word, n, t, steps, wrong: written(step.token) !== (right[t] ?? "") }));
    });
    const chosen = all[Math.min(at, all.length - 1)];

    const seen = `${by} ${text}`;
    if (shownText !== seen) {
      letters.replaceChildren(...all.map((step, i) => {
        const button = make("button", { type: "button", style: `--i: ${i}` }, written(step.token));
        if (step.token === EOS) button.classList.add("end");
        if (step.wrong) button.classList.add("wrong");
        return button;
      }));
      letters.classList.remove("writes");
      void letters.offsetWidth; // so that it is written anew
      letters.classList.add("writes");
      shownText = seen;
    }
    [...letters.children].forEach((button, i) => {
      const step = all[i];
      button.setAttribute("tabindex", step === chosen ? 0 : -1);
      button.setAttribute("aria-pressed", step === chosen);
      button.setAttribute("aria-label", `${step.token === EOS ? "end" : written(step.token)}${step.wrong ? ", wrong" : ""}`);
    });
    const output = (steps) => steps.map(({ token }) => (token === EOS ? "" : written(token))).join("");
    const words = text.split(" ");
    const wrong = words.filter((word, n) => output(all.filter((step) => step.n === n)) !== pigLatin(word));
    truth.innerHTML = wrong.length ? `true: <b class="c2">${words.map(pigLatin).join(" ")}</b>` : "as the rule has it";

    drawMaps(maps, chances, chosen, look, (t) => choose(all.findIndex((step) => step.n === chosen.n && step.t === t), true));
    drawChances(chances, chosen);
    const [layer, place] = strongest(chosen.looks.cross);
    figure.say(`“${output(all.filter((step) => step.n === chosen.n))}”, letter ${chosen.t + 1}: ` +
      `<b class="c0">${written(chosen.token)}</b> with probability ${number(chosen.probabilities[chosen.token])}. ` +
      `It looks most at <b class="c3">${[...chosen.word, END][place]}</b>, in layer ${layer + 1}. Of the words that it was ` +
      `not trained on, this translator has ${number(100 * about.accuracy, 0)} % right.`);
  };
  await loadData(figure.values.by).then((data) => (models[figure.values.by] = data));
};

// Layer and place of the largest of the weights.
function strongest(layers) {
  const tops = layers.map((weights) => Math.max(...weights));
  const layer = tops.indexOf(Math.max(...tops));
  return [layer, layers[layer].indexOf(tops[layer])];
}

// A map a layer: rows are the letters written, columns what they look at, the chosen row in a frame.
function drawMaps(box, chances, chosen, look, choose) {
  const { steps, t: at, word } = chosen;
  const columns = look === "cross" ? [...word, END] : ["·", ...steps.slice(0, -1).map(({ token }) => written(token))];
  const room = Math.max(280, box.clientWidth || 700);
  const beside = room > 680 ? (room - 170) / 3 : room > 500 ? room / 3 : room / 2;
  const cell = Math.max(15, Math.min(23, Math.floor((beside - 44) / columns.length)));
  const [left, top] = [22, 38];
  const [width, height] = [left + columns.length * cell + 4, top + steps.length * cell + 4];
  box.replaceChildren(...steps[0].looks[look].map((_, layer) => {
    const map = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "live-map", role: "img",
      "aria-label": `Layer ${layer + 1}: what each letter written looks at` });
    map.append(svg("text", { x: left, y: 13, class: "live-label" }, `layer ${layer + 1}`));
    columns.forEach((letter, c) => map.append(
      svg("text", { x: left + (c + 0.5) * cell, y: top - 7, "text-anchor": "middle" }, letter)));
    steps.forEach((step, t) => {
      const y = top + t * cell;
      map.append(svg("text", { x: left - 7, y: y + cell / 2, dy: "0.35em", "text-anchor": "end",
        class: t === at ? "live-text c0" : "" }, written(step.token)));
      step.looks[look][layer].forEach((weight, c) => map.append(svg("rect", { x: left + c * cell, y, width: cell - 1,
        height: cell - 1, class: "live-fill c3", "fill-opacity": (0.06 + 0.94 * weight).toFixed(3) })));
    });
    map.append(svg("rect", { x: left - 1.5, y: top + at * cell - 1.5, width: columns.length * cell + 2, height: cell + 2,
      class: "live-frame" }));
    map.addEventListener("pointerdown", (event) => {
      const { y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
      const row = Math.floor((y - top) / cell);
      if (row >= 0 && row < steps.length) choose(row);
    });
    return map;
  }), chances);
}

// The likeliest next letters.
function drawChances(box, { probabilities, token }) {
  const order = probabilities.map((p, i) => [p, i]).sort(([a], [b]) => b - a).slice(0, 5);
  const list = make("ol", { "aria-label": "The likeliest next letters" });
  for (const [p, i] of order) {
    const bar = make("span", { class: "live-bar", style: `--share: ${p}` });
    list.append(make("li", i === token ? { class: "c0" } : { class: "faint" },
      make("b", {}, written(i)), bar, make("span", { class: "live-value" }, number(p))));
  }
  box.replaceChildren(make("p", {}, "next letter"), list);
}
