// Compares `gracemoe tokenize` with the original library on random texts. See scripts/fuzz-tokenizers.
//   node tokenizer_fuzz.mjs PROGRAM MODULES COUNT SEED SWEEP TOKENIZER_JSON...
// MODULES: a node_modules folder that holds the package `tokenizers`. SWEEP: 1 for texts with every character there is
// beside the random ones. Exit code 1 where a text or a list of ids differs.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const [program, modules, countText, seedText, sweepText, ...files] = process.argv.slice(2);
const { Tokenizer } = createRequire(path.resolve(modules, 'x.js'))('tokenizers');
const count = Number(countText);
const BATCH = 20000;
const SHOWN = 5;

// splitmix32: the same texts for the same seed.
let state = Number(seedText) >>> 0;
const random = () => {
  state = (state + 0x9e3779b9) >>> 0;
  let z = state;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
};
const below = (n) => random() % n;
const pick = (list) => list[below(list.length)];
const times = (n, make) => Array.from({ length: n }, make).join('');

const RANGES = [
  [0x20, 0x7e], [0x20, 0x7e], [0xa0, 0xff], [0x100, 0x24f], [0x250, 0x2ff], [0x370, 0x3ff], [0x400, 0x52f],
  [0x591, 0x5f4], [0x600, 0x6ff], [0x700, 0x77f], [0x900, 0x97f], [0x980, 0x9ff], [0xb80, 0xbff], [0xe00, 0xe7f],
  [0xf00, 0xfff], [0x1000, 0x109f], [0x10a0, 0x10ff], [0x1100, 0x11ff], [0x1200, 0x137f], [0x13a0, 0x13ff],
  [0x1780, 0x17ff], [0x1e00, 0x1fff], [0x2000, 0x206f], [0x2070, 0x20cf], [0x2100, 0x218f], [0x2190, 0x23ff],
  [0x2460, 0x24ff], [0x2500, 0x27bf], [0x2c00, 0x2dff], [0x3000, 0x30ff], [0x3130, 0x318f], [0x3200, 0x33ff],
  [0x3400, 0x4dbf], [0x4e00, 0x9fff], [0xa000, 0xa4cf], [0xa640, 0xa7ff], [0xac00, 0xd7a3], [0xd7b0, 0xd7ff],
  [0xe000, 0xf8ff], [0xf900, 0xfaff], [0xfb00, 0xfb4f], [0xfb50, 0xfdff], [0xfe00, 0xfe6f], [0xff00, 0xffef],
  [0x10000, 0x103ff], [0x10400, 0x107ff], [0x11000, 0x113ff], [0x16f00, 0x16fff], [0x1b000, 0x1b2ff],
  [0x1d100, 0x1d1ff], [0x1d400, 0x1d7ff], [0x1e900, 0x1e95f], [0x1f000, 0x1faff], [0x20000, 0x2a6df],
  [0x2f800, 0x2fa1f], [0xe0000, 0xe01ef], [0x10ff00, 0x10ffff],
];
const MARKS = [[0x300, 0x36f], [0x483, 0x487], [0x5b0, 0x5bd], [0x64b, 0x65f], [0x93c, 0x94d], [0x1ab0, 0x1ace],
  [0x1dc0, 0x1dff], [0x20d0, 0x20f0], [0x3099, 0x309a], [0xfe20, 0xfe2f]];
const DIGITS = [[0x30, 0x39], [0x30, 0x39], [0x660, 0x669], [0x966, 0x96f], [0xff10, 0xff19], [0x2160, 0x2188],
  [0xb2, 0xb3], [0xbc, 0xbe], [0x2080, 0x2089], [0x3007, 0x3007], [0x1d7ce, 0x1d7ff], [0x2460, 0x249b]];
const BLANKS = [' ', ' ', ' ', '\n', '\t', '\r', '\r\n', '\v', '\f', '\u0085', '\u00a0', '\u1680', '\u2003', '\u2028',
  '\u2029', '\u202f', '\u205f', '\u3000', '\u200b', '\u180e', '\ufeff', '\u001c', '\u001f'];
const ENDINGS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'Re", "'\u017f", '\u2019s', "''s", "'"];
const EMOJI = ['\u{1f600}', '\u{1f469}', '\u200d', '\ufe0f', '\u{1f3fd}', '\u2764', '\u{1f1eb}\u{1f1f7}', '1\ufe0f\u20e3', '\u{1f3f4}\u{e0067}\u{e007f}'];
const WORDS = ['the', 'Hello', 'world', 'HTMLParser', 'iPhone', 'don', 'I', 'a', 'e', 'caf\u00e9', 'cafe\u0301', 'na\u00efve',
  '\u212b', '\ufb01', '\u1e9b\u0323', '\u0130', '\u0390', '\u03b9\u0308\u0301', '\u1112\u1161\u11ab', '\ud55c', '\u4f60\u597d', '\u3042', '\u0344', '==', '//', '/*', '};', '<|', '|>', '\u2581', '\u0120'];

const from = ([low, high]) => {
  const code = low + below(high - low + 1);
  return code >= 0xd800 && code < 0xe000 ? '?' : String.fromCodePoint(code);
};
const anywhere = () => from(below(8) === 0 ? [0, 0xd7ff] : below(2) ? [0xe000, 0x10ffff] : pick(RANGES));

function maker(added, vocabulary) {
  const broken = (s) => {
    const letters = Array.from(s);
    if (letters.length) letters[below(letters.length)] = pick(['', ' ', 'x', letters[0].toUpperCase(), anywhere()]);
    return letters.join('');
  };
  const segments = [
    () => pick(WORDS), () => ' ' + pick(WORDS), () => pick(WORDS).toUpperCase(),
    () => times(1 + below(8), () => from([0x61, 0x7a])), () => times(1 + below(5), () => from([0x41, 0x7a])),
    () => { const range = pick(RANGES); return times(1 + below(6), () => from(range)); },
    () => times(1 + below(4), anywhere),
    () => times(1 + below(4), () => from(pick(MARKS))), () => from(pick(RANGES)) + times(1 + below(3), () => from(pick(MARKS))),
    () => times(1 + below(6), () => pick(BLANKS)), () => times(1 + below(12), () => ' '), () => pick(BLANKS).repeat(1 + below(5)),
    () => times(1 + below(7), () => from(DIGITS[0])), () => times(1 + below(5), () => from(pick(DIGITS))),
    () => pick(WORDS) + pick(ENDINGS), () => pick(ENDINGS), () => times(1 + below(5), () => pick(EMOJI)),
    () => from([0, 0x1f]), () => from([0x7f, 0x9f]), () => times(1 + below(5), () => from([0x21, 0x2f])),
    () => times(1 + below(4), () => from(pick([[0x3a, 0x40], [0x5b, 0x60], [0x7b, 0x7e]]))),
    () => (added.length ? pick(added) : ''), () => (added.length ? pick(BLANKS) + pick(added) + pick(BLANKS) : ''),
    () => (added.length ? broken(pick(added)) : ''), () => (added.length ? pick(added).slice(0, 1 + below(6)) : ''),
    () => pick(vocabulary), () => pick(vocabulary) + pick(vocabulary),
  ];
  return () => {
    let text = '';
    for (let left = below(7); left >= 0; --left) {
      const part = pick(segments)();
      text += below(24) === 0 ? part.repeat(1 + below(20)) : part;
    }
    return text.toWellFormed ? text.toWellFormed() : text;
  };
}

// Every character, some in a text: after a letter, between marks of several classes, after a blank or a digit.
function* sweep() {
  for (let code = 0, text = ''; code < 0x110000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const c = String.fromCodePoint(code);
    text += ['e\u0315' + c + '\u0301\u0323', ' ' + c + c + '1', 'A' + c + 'b', '\u1112' + c + '\u11ab'][code % 4];
    if (code % 12 < 11) continue;
    yield text;
    text = '';
  }
}

function run(tokenizerJson, lines, options, folder) {
  const input = path.join(folder, 'lines.jsonl');
  fs.writeFileSync(input, lines.map((line) => JSON.stringify(line) + '\n').join(''));
  const result = spawnSync(program, ['tokenize', '--tokenizer', tokenizerJson, '--jsonl', '--file', input, ...options],
    { encoding: 'utf8', maxBuffer: 1 << 30 });
  if (result.status !== 0) throw new Error(`gracemoe tokenize ${options.join(' ')} ended with ${result.status ?? result.signal}: ${result.stderr}`);
  const out = result.stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line));
  if (out.length !== lines.length) throw new Error(`${out.length} lines for ${lines.length}`);
  return out;
}

// What differs between two lists of results, told a few times.
let told = 0;
function compare(what, inputs, ours, theirs) {
  let differences = 0;
  inputs.forEach((input, i) => {
    const [a, b] = [JSON.stringify(ours[i]), JSON.stringify(theirs[i])];
    if (a === b) return;
    ++differences;
    if (told++ < SHOWN) console.log(`  ${what} of ${JSON.stringify(input)}\n    gracemoe ${a}\n    original ${b}`);
  });
  return differences;
}

async function check(file, folder) {
  const oracle = Tokenizer.fromFile(file);
  const json = JSON.parse(fs.readFileSync(file));
  const added = (json.added_tokens ?? []).map((token) => token.content);
  const size = oracle.getVocabSize(true);
  const vocabulary = Object.keys(json.model.vocab);
  const plain = await oracle.decodeBatch(Array.from({ length: Math.min(5000, vocabulary.length) }, () => [json.model.vocab[pick(vocabulary)]]), false);
  const make = maker(added, plain.concat(added.length ? [] : ['x']));
  const inputs = Array.from({ length: count }, make).concat(sweepText === '1' ? [...sweep()] : []);
  let differences = 0;
  told = 0;
  for (let done = 0; done < inputs.length; done += BATCH) {
    const texts = inputs.slice(done, done + BATCH);
    const lists = Array.from({ length: texts.length >> 2 }, () => Array.from({ length: below(12) }, () => below(size)));
    const ids = [];
    for (const special of [false, true]) {
      const encodings = await oracle.encodeBatch(texts, { addSpecialTokens: special });
      const theirs = encodings.map((encoding) => Array.from(encoding.getIds()));
      ids.push(theirs);
      const ours = run(file, texts.map((text) => ({ text })), special ? [] : ['--no-special'], folder).map((line) => line.ids);
      differences += compare(special ? 'ids with special tokens' : 'ids', texts, ours, theirs);
    }
    for (const skip of [false, true]) {
      const wanted = ids[skip ? 1 : 0].concat(lists);
      const theirs = await oracle.decodeBatch(wanted, skip);
      const ours = run(file, wanted.map((list) => ({ ids: list })), skip ? ['--decode', '--no-special'] : ['--decode'], folder).map((line) => line.text);
      differences += compare(skip ? 'text without special tokens' : 'text', wanted, ours, theirs);
    }
  }
  console.log(`${file}: ${inputs.length} texts, ${differences} differences`);
  return differences;
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tokenizer-fuzz-'));
let differences = 0;
try {
  for (const file of files) differences += await check(file, folder);
} finally {
  fs.rmSync(folder, { recursive: true });
}
process.exitCode = differences ? 1 : 0;
