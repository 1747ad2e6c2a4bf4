// The encoder–decoder of the book, as it translates: attention, layers, and greedy decoding in
// which the keys and values of letters already read or written are kept. A sequence is a list of
// vectors, one a token; weights are rows of an array; softmax is that of figure.js.

const ALPHABET = "abcdefghijklmnopqrstuvwxyz-";
const [SOS, EOS] = [ALPHABET.length, ALPHABET.length + 1];
const LONGEST = 20; // letters of a word, and of its translation

// W x + b
function linear(model, name, x) {
  const { data, shape: [rows, columns] } = model[`${name}.weight`];
  const bias = model[`${name}.bias`].data;
  const y = new Float32Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = bias[row];
    for (let column = 0; column < columns; column++) sum += data[at++] * x[column];
    y[row] = sum;
  }
  return y;
}

// Scaled dot-product attention of one query: softmax(q·k / √H), and the mean of values by it.
function attend(q, keys, values) {
  const scores = keys.map((k) => k.reduce((sum, v, h) => sum + v * q[h], 0) / Math.sqrt(q.length));
  const weights = softmax(scores);
  const context = q.map((_, h) => values.reduce((sum, v, i) => sum + weights[i] * v[h], 0));
  return { context, weights };
}

// The vector of a token at a position: its embedding, and sines and cosines of the position.
function embed(model, name, token, position) {
  const { data, shape: [, H] } = model[`${name}.embedding.weight`];
  return data.slice(token * H, (token + 1) * H).map((v, h) => {
    const angle = position / 10000 ** ((h - (h % 2)) / H);
    return v + (h % 2 ? Math.cos(angle) : Math.sin(angle));
  });
}

const plus = (x, y) => x.map((v, h) => v + y[h]);
const relu = (x) => x.map((v) => Math.max(0, v));
const mlp = (model, name, x) => plus(x, relu(linear(model, `${name}.mlp.0`, x)));
const layersOf = (model) =>
  Object.keys(model).filter((name) => /^encoder.*W_q.weight/.test(name)).length;

// The encoder reads the word; each layer of the decoder then makes its keys and values of it.
function read(model, tokens) {
  let x = tokens.map((token, position) => embed(model, "encoder", token, position));
  for (let i = 0; i < layersOf(model); i++) {
    const name = `encoder.layers.${i}`;
    const of = (W) => x.map((v) => linear(model, `${name}.self_attention.${W}`, v));
    const [Q, K, V] = ["W_q", "W_k", "W_v"].map(of);
    x = x.map((v, t) => mlp(model, name, plus(v, attend(Q[t], K, V).context)));
  }
  return Array.from({ length: layersOf(model) }, (_, i) => {
    const of = (W) => x.map((v) => linear(model, `decoder.layers.${i}.cross_attention.${W}`, v));
    return { source: { K: of("W_k"), V: of("W_v") }, past: { K: [], V: [] } };
  });
}

// The decoder takes one token more: logits of the next, and what each layer looked at.
function write(model, layers, token) {
  let x = embed(model, "decoder", token, layers[0].past.K.length);
  const looks = { self: [], cross: [] };
  layers.forEach(({ source, past }, i) => {
    const name = `decoder.layers.${i}`;
    past.K.push(linear(model, `${name}.self_attention.W_k`, x));
    past.V.push(linear(model, `${name}.self_attention.W_v`, x));
    const self = attend(linear(model, `${name}.self_attention.W_q`, x), past.K, past.V);
    x = plus(x, self.context);
    const cross = attend(linear(model, `${name}.cross_attention.W_q`, x), source.K, source.V);
    x = mlp(model, name, plus(x, cross.context));
    looks.self.push(self.weights);
    looks.cross.push(cross.weights);
  });
  return { logits: linear(model, "decoder.to_logits", x), looks };
}

// Letter by letter, the likeliest one until the end: what is written, and how likely it was.
function translateWord(model, word) {
  const layers = read(model, [...[...word].map((letter) => ALPHABET.indexOf(letter)), EOS]);
  const steps = [];
  for (let token = SOS; token !== EOS && steps.length < LONGEST; token = steps.at(-1).token) {
    const { logits, looks } = write(model, layers, token);
    const likeliest = logits.indexOf(Math.max(...logits));
    steps.push({ token: likeliest, probabilities: softmax([...logits]), logits, looks });
  }
  return steps;
}

// The rule that they are to learn.
function pigLatin(word) {
  const part = (text) => {
    if (/^[aeiou]/.test(text)) return `${text}way`;
    const [, cluster, rest] = /^((?:qu|[^aeiouy])*)(.*)$/.exec(text);
    return `${rest}${cluster}ay`;
  };
  return word.split("-").map(part).join("-");
}
