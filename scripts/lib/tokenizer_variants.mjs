// Writes tokenizers that differ from a small one in a part each: what no published one at hand has.
//   node tokenizer_variants.mjs TOKENIZER_JSON FOLDER
import fs from 'node:fs';
import path from 'node:path';

const [source, folder] = process.argv.slice(2);
const read = () => JSON.parse(fs.readFileSync(source));
const byteLevel = (more) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false, ...more });
const split = (Regex, behavior = 'Isolated', invert = false) => ({ type: 'Split', pattern: { Regex }, behavior, invert });
const sequence = (...pretokenizers) => ({ type: 'Sequence', pretokenizers });
const pre = (...parts) => (json) => { json.pre_tokenizer = sequence(...parts); };
const normal = (...types) => (json) => { json.normalizer = { type: 'Sequence', normalizers: types.map((type) => ({ type })) }; };
// Ids above all others, so that the vocabulary stays.
const added = (tokens) => (json) => {
  let id = Math.max(...Object.values(json.model.vocab), ...json.added_tokens.map((token) => token.id)) + 1;
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  for (const token of tokens) json.added_tokens.push({ id: id++, ...flags, ...token });
};

const VARIANTS = {
  deepseek_v2: pre(split('[\r\n]'), split('\\s?\\p{L}+'), split('\\s?\\p{P}+'), split('[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+'), { type: 'Digits', individual_digits: true }, byteLevel()),
  digits: pre({ type: 'Digits', individual_digits: false }, byteLevel({ use_regex: true })),
  prefix_space: pre(byteLevel({ add_prefix_space: true, use_regex: true })),
  possessive: pre(split('[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s'), byteLevel()),
  words: pre(split('\\w+|\\d|\\P{L}|[\\P{N}\\s]'), byteLevel()),
  removed: pre(split('\\s+', 'Removed'), byteLevel()),
  previous: pre(split('[,.\\s]', 'MergedWithPrevious'), byteLevel()),
  next: pre(split('[,.\\s]', 'MergedWithNext'), byteLevel()),
  contiguous: pre(split('[a-z]', 'Contiguous'), byteLevel()),
  inverted: pre(split('[a-z]+', 'Isolated', true), byteLevel()),
  literal: pre({ type: 'Split', pattern: { String: 'll' }, behavior: 'MergedWithPrevious', invert: false }, byteLevel()),
  nfc: normal('NFC'), nfd: normal('NFD'), nfkc: normal('NFKC'), nfkd: normal('NFKD'),
  prepend: (json) => { json.normalizer = { type: 'Sequence', normalizers: [{ type: 'Strip', strip_left: true, strip_right: false }, { type: 'Prepend', prepend: '\u2581x ' }] }; },
  replace: (json) => { json.normalizer = { type: 'Sequence', normalizers: [{ type: 'Replace', pattern: { String: 'l.' }, content: '$1' }, { type: 'Replace', pattern: { Regex: '\\s+|\\d(?=\\d)' }, content: ' \u2581' }, { type: 'Strip', strip_left: false, strip_right: true }] }; },
  flags: added([{ content: '<s1>', lstrip: true }, { content: '<s2>', rstrip: true }, { content: '<w>', single_word: true }, { content: 'thee', single_word: true },
    { content: ' <n> ', normalized: true }, { content: '<s1><s2>', lstrip: true, rstrip: true }, { content: '<b>', lstrip: true, rstrip: true, special: true }, { content: 'Hellx' }, { content: '\u00e9t', normalized: true }]),
  flags_nfd: (json) => { normal('NFD')(json); added([{ content: '\u00e9t', normalized: true }, { content: 'caf\u00e9', normalized: true, single_word: true }, { content: '<q>', normalized: true, lstrip: true }, { content: '\u00fcx', normalized: false }])(json); },
};

fs.mkdirSync(folder, { recursive: true });
for (const [name, change] of Object.entries(VARIANTS)) {
  const json = read();
  change(json);
  fs.writeFileSync(path.join(folder, name + '.json'), JSON.stringify(json));
}
