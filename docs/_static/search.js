// The search: one list of results, in the dialog of every page and on the search page.
// The index and MiniSearch are loaded when a reader comes to the field, as scripts from this folder.
const SEARCH_FOLDER = document.currentScript.src.replace(/[^/]*$/, "");
const SEARCH_ROOT = new URL("..", SEARCH_FOLDER).href;
const SHOWN = 10;
const WEIGHT = { question: 0.5, page: 1, term: 0.9, name: 0.25, reference: 0.25, back: 0.4 };
const FIELDS = { numbers: 9, section: 4, page: 2, uses: 1, text: 1 };
const SILENT_WORDS = new Set(
  "a an and are as at be by does for from how in is it of on or the to what with".split(" ")
);
const escapeHtml = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt()};`);

// Words: a question's number and an identifier are one, in small letters, without a plural's s.
function normal(text) {
  return text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[‐-―]/g, "-")
    .replace(/’/g, "'")
    .toLowerCase()
    .replace(/(\d) ?\(([a-z])\)/g, "$1$2")
    .replace(/\b(20\d\d)[\s:,]+(?:question )?(?=\d\S)/g, "$1:")
    .replace(/(\d[.-]\S+?),? \(?(20\d\d)\b(?!:)\)?/g, "$2:$1");
}
const tokenize = (text) => normal(text).match(/\d+(?:[.:-]\d+)+[a-z]?|[\p{L}\p{N}_]+/gu) ?? [];
const isNumber = (term) => /^\d+[.:-]/.test(term);
function processTerm(term) {
  if (SILENT_WORDS.has(term) || (term.length < 2 && !/\d/.test(term))) return null;
  return /[a-z]{3}s$/.test(term) && !/(ss|us|is)$/.test(term) ? term.slice(0, -1) : term;
}
const words = (text) => tokenize(text).map(processTerm).filter(Boolean).join(" ");

class Search {
  constructor({ titles, entries, uses, synonyms }) {
    this.synonyms = synonyms.map((pair) => pair.map(words));
    const answering = new Set(entries.filter(([kind]) => kind === "question").map(([, page]) => page));
    this.documents = entries.map(([kind, page, anchor, section, text, asked = []], id) => ({
      id, kind, anchor, section, text, asked,
      url: page + ".html" + (anchor && "#" + anchor),
      page: titles[page],
      answers: kind === "page" && answering.has(page), // a question of the handouts
      name: words(section),
      uses: kind === "page" && !anchor ? (uses[page] ?? []).join(" ") : "",
      numbers: asked.map(([year, n]) => `question ${n} ${year}:${n}`).join(" "),
      // Of those in a group the best is shown: of a page's sections, of a name's two modules.
      group: kind === "term" ? id : kind === "name" ? section + text : page,
    }));
    this.index = new MiniSearch({ fields: Object.keys(FIELDS), tokenize, processTerm });
    this.readers = new MiniSearch({ fields: ["text"], tokenize, processTerm });
    this.readers.addAll(this.synonyms.map(([text], id) => ({ id, text })));
  }

  static async from(data) {
    const search = new Search(data);
    await search.index.addAllAsync(search.documents, { chunkSize: 50 }); // typing goes on meanwhile
    return search;
  }

  // The query with what no word begins like replaced by what is spelled almost like it.
  spelled(query) {
    const both = [this.index, this.readers];
    const known = (term) => both.some((some) => some.search(term, { prefix: !isNumber(term) }).length);
    const suggested = (some, term) => some.autoSuggest(term, { fuzzy: 0.25, prefix: false })[0];
    const other = (term) => term.replace(/[.-](?=\w+$)/, (mark) => (mark === "." ? "-" : ".")); // 2.3.3 for 2.3-3
    const like = (term) => isNumber(term) ? other(term)
      : (suggested(this.index, term) ?? suggested(this.readers, term))?.suggestion.split(" ")[0] ?? term;
    return query.split(" ").map((term) => (known(term) ? term : like(term))).join(" ");
  }

  correction(text) {
    const spelled = this.spelled(words(text));
    return spelled === words(text) ? "" : ` for “${spelled}”`;
  }

  // The query, and the query in the words of the book.
  phrasings(query) {
    const said = ` ${query} `;
    const found = this.synonyms.filter(([reader]) => said.includes(` ${reader} `));
    return [query, ...found.map(([reader, book]) => said.replace(` ${reader} `, ` ${book} `).trim())];
  }

  // The results, the best first: those with all words of the query, then, if they are few, with some.
  find(text) {
    const query = this.spelled(words(text));
    const phrasings = query ? this.phrasings(query) : [];
    const best = this.best(phrasings, text.trim(), "AND");
    if (best.size < 3) {
      const least = Math.min(1, ...[...best.values()].map(({ score }) => score));
      const some = [...this.best(phrasings.slice(0, 1), text.trim(), "OR")].filter(([group]) => !best.has(group));
      const most = Math.max(...some.map(([, { score }]) => score));
      for (const [group, result] of some) best.set(group, { ...result, score: (0.9 * least * result.score) / most });
    }
    const results = [...best.values()].sort((a, b) => b.score - a.score || a.id - b.id);
    return results.map((result) => ({ ...this.documents[result.id], ...result }));
  }

  best(phrasings, text, combineWith) {
    const best = new Map(); // of each group
    phrasings.forEach((phrase, i) => {
      const options = { boost: FIELDS, prefix: (term) => term.length > 2, combineWith };
      for (const { id, score, terms } of this.index.search(phrase, options)) {
        const document = this.documents[id];
        const alone = document.kind === "question" && isNumber(phrase);
        const group = alone ? id : document.group;
        const weight = this.weight(document, phrase, text) / phrase.split(" ").length / (i ? 1.2 : 1);
        if (!(best.get(group)?.score >= score * weight))
          best.set(group, { id, score: score * weight, terms });
      }
    });
    return best;
  }

  weight(document, phrase, text) {
    let weight = WEIGHT[document.kind] * (document.anchor ? 1 : 1.5) * (document.answers ? 1.2 : 1);
    if (` ${document.name} `.includes(` ${phrase} `)) weight *= 2;
    if (document.name === phrase && document.kind === "term") weight *= 1.6;
    if (document.section === text && document.kind === "name") weight *= 20;
    if (document.uses.split(" ").includes(text)) weight *= 10;
    return weight;
  }
}

// What is shown of a result: the words around the first that was found.
function mark(text, terms) {
  const found = new Set(terms);
  return text.split(/([\p{L}\p{N}_]+(?:[.:-]\d+)*)/u).map((part, i) =>
    i % 2 && found.has(processTerm(normal(part))) ? `<mark>${escapeHtml(part)}</mark>` : escapeHtml(part)
  ).join("");
}
function snippet({ text, terms }) {
  const found = new Set(terms);
  const parts = [...text.matchAll(/[\p{L}\p{N}_]+(?:[.:-]\d+)*/gu)];
  const first = parts.find((part) => found.has(processTerm(normal(part[0]))))?.index ?? 0;
  const start = first < 70 ? 0 : text.indexOf(" ", first - 60) + 1;
  const end = text.length - start < 180 ? text.length : text.lastIndexOf(" ", start + 170);
  return (start ? "… " : "") + mark(text.slice(start, end), terms) + (end < text.length ? " …" : "");
}
function item(result) {
  const asked = result.asked.map(([year, n]) => `${year}: ${n}`).join(" · ");
  const page = result.section === result.page ? "" : result.page;
  const title = result.kind === "name"
    ? `<code>${escapeHtml(result.section)}</code>`
    : mark(result.section, result.terms);
  return `<li><a href="${escapeHtml(SEARCH_ROOT + result.url)}">
    <span class="search-title">${title}</span>
    <span class="search-page">${escapeHtml([page, asked].filter(Boolean).join(" · "))}</span>
    <span class="search-text">${snippet(result)}</span></a></li>`;
}
function more(query, many) {
  const url = `${SEARCH_ROOT}search.html?q=${encodeURIComponent(query)}`;
  return `<li><a class="search-more" href="${escapeHtml(url)}">All ${many} results</a></li>`;
}

// -- The page ---------------------------------------------------------------------------------------
let loading;
function load(name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: SEARCH_FOLDER + name, onload: resolve, onerror: reject });
    document.head.append(script);
  });
}
function loadSearch() {
  loading ??= Promise.all([load("minisearch-7.2.0/index.js"), load("search_data.js")])
    .then(() => Search.from(searchData));
  return loading;
}

function equip(form) {
  const input = form.querySelector("input");
  const dialog = form.closest("dialog");
  const status = document.createElement("p");
  const list = document.createElement("ol");
  status.className = "search-status";
  status.role = "status";
  list.className = "search-list";
  form.after(status, list);
  input.addEventListener("focus", loadSearch);

  async function show(many) {
    const query = input.value.trim();
    const search = await loadSearch();
    if (query !== input.value.trim()) return; // the reader went on
    const results = query ? search.find(query) : [];
    const shown = results.slice(0, many);
    list.innerHTML = shown.map(item).join("");
    if (shown.length < results.length)
      list.insertAdjacentHTML("beforeend", more(query, results.length));
    status.textContent = !query ? "" : results.length
      ? `${results.length} result${results.length > 1 ? "s" : ""}${search.correction(query)}`
      : "Nothing found. Try a single word, another word for it, or a question's number, such as 2.3-3.";
  }
  const many = dialog ? SHOWN : Infinity;
  input.addEventListener("input", () => show(many));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await show(many);
    if (dialog) list.querySelector("a")?.click();
    else history.replaceState(null, "", `?q=${encodeURIComponent(input.value)}`);
  });
  for (const part of [form, list]) {
    part.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const stops = [input, ...list.querySelectorAll("a")];
      stops[stops.indexOf(document.activeElement) + step]?.focus();
      event.preventDefault();
    });
  }
  list.addEventListener("click", (event) => {
    if (event.target.closest("a")) dialog?.close(); // the result may be on this page
  });
  if (!dialog) {
    input.value = new URLSearchParams(location.search).get("q") ?? "";
    input.focus();
    if (input.value) show(many);
  }
}
addEventListener("DOMContentLoaded", () => document.querySelectorAll("form.bd-search").forEach(equip));
