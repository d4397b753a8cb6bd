// The page's texts in the visitor's language, and numbers and dates as they are written there.
//
// One file of texts a language, `texts/<language>.json`. English and a language that the owner fixed (`page.language`, which
// the page holds in `data-language`) come with the scripts; any other is a script of its own, loaded before the page
// starts. A text that counts has one form per plural category of the Unicode CLDR. English stands in `index.html` as
// well, so that the page says something without scripts.
(function (m) {
  'use strict';

  const FALLBACK = 'en';
  const primary = (tag) => tag.toLowerCase().split('-')[0];

  const fixed = document.documentElement.dataset.language;
  const spoken = (navigator.languages && navigator.languages.length ? [...navigator.languages] : [navigator.language])
    .filter(Boolean);
  const wanted = fixed ? [fixed] : spoken;
  const tag = wanted.find((each) => m.languages.includes(primary(each))) || FALLBACK;

  /** The language of the page's texts. */
  m.language = primary(tag);
  // The visitor's own variant of the language says how numbers and dates look: de-AT, en-GB.
  const variant = spoken.find((each) => primary(each) === m.language);
  /** The language tag that numbers and dates follow. */
  m.locale = [variant, tag, FALLBACK].find((each) => {
    try { return each && Intl.getCanonicalLocales(each); } catch { return false; }
  });
  const plurals = new Intl.PluralRules(m.language);

  /**
   * A count as the visitor writes it. One below 1,000 has no separator in any language, and the first number that a browser
   * formats costs it 30 to 50 ms, four times that on a phone, while the page starts.
   */
  m.formatCount = (number) => (number < 1000 ? String(number) : number.toLocaleString(m.locale));

  /** A name in a line of other text: its direction does not change the order of the text next to it. */
  m.isolated = (text) => `\u2068${text}\u2069`;

  /** The text for `key`; `{name}` is replaced by `values.name`, and `values.n` chooses the plural form. */
  m.t = function (key, values = {}) {
    let text = (m.texts[m.language] || {})[key] ?? m.texts[FALLBACK][key] ?? key;
    if (typeof text !== 'string') text = text[plurals.select(values.n)] || text.other;
    return text.replace(/\{(\w+)\}/g, (whole, name) => {
      const value = values[name];
      if (typeof value === 'number') return m.formatCount(value);
      return value === undefined ? whole : name === 'name' || name === 'title' ? m.isolated(value) : value;
    });
  };

  /** Calls `run` when the language's texts are here; where they cannot be had, the page speaks English. */
  m.withTexts = function (run) {
    if (m.texts[m.language]) { run(); return; }
    const script = document.createElement('script');
    script.onload = run;
    script.onerror = () => { m.language = FALLBACK; run(); };
    script.src = `texts-${m.language}.js`;
    document.head.append(script);
  };

  /** Puts the texts into the page: content, labels and titles, the latter with the key that does the same. */
  m.translate = function (root) {
    document.documentElement.lang = m.language;
    for (const part of root.querySelectorAll('[data-text]')) part.textContent = m.t(part.dataset.text);
    for (const part of root.querySelectorAll('[data-label]')) part.setAttribute('aria-label', m.t(part.dataset.label));
    for (const part of root.querySelectorAll('[data-title]')) part.title = m.withKey(m.t(part.dataset.title), part.dataset.key);
  };
  m.withKey = (text, key) => (key ? `${text} (${key})` : text);
})(window.mosaicd = window.mosaicd || {});
