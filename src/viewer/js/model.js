// One generation, indexed: which work lies in which cell, which tile lies where, what a work is called.
//
// Pure: no DOM, no network, no clock. Everything a frame needs is an array look-up by cell; nothing here is walked per
// frame. A manifest is input from outside: fields out of range are left out, never trusted.
(function (m) {
  'use strict';

  /** The newest manifest schema this page understands. */
  m.SCHEMA = 1;

  const PICTURE = /\.(png|jpe?g|jpe|jfif|gif|webp|bmp|dib|tiff?|avif|jxl|svg)$/i;
  const WEEK_MS = 7 * 24 * 3600 * 1000;
  // Control characters, and marks of direction that a file name could use to reorder the line that shows it.
  const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

  /** Text from outside, fit to be shown in a line. */
  m.printable = (text) => text.replace(UNPRINTABLE, ' ').trim();
  const { printable } = m;

  const textOf = (value) => (typeof value === 'string' ? printable(value) : '');

  /** The owner's title, or the file name without folder and extension, fit to be shown; '' while it is not loaded. */
  m.nameOf = function (work) {
    const title = textOf(work.title);
    if (title) return title;
    if (work.path === undefined) return '';
    const file = work.path.slice(work.path.lastIndexOf('/') + 1);
    return printable(file.replace(/(.)\.[^.]{1,5}$/, '$1')) || m.t('work.untitled');
  };

  /** The mosaic's title, fit to be shown. */
  m.titleOf = (model) => textOf(model.manifest.title) || m.t('title');

  /** Who made it, or ''. */
  m.artistOf = (work) => textOf(work.artist);

  /** The whole path, fit to be shown. */
  m.pathOf = (work) => printable(work.path || '');

  /** Lower case without diacritics: what search compares. */
  m.fold = (text) => text.normalize('NFD').replace(/[\u0300-\u036f]/g, '').toLowerCase();

  /**
   * Indexes a manifest.
   *
   * `cellOf[row * cols + col]` is an index into `works`, or -1 for a spare cell.
   */
  m.createModel = function (manifest) {
    const cols = Math.max(0, manifest.grid.cols | 0);
    const rows = Math.max(0, manifest.grid.rows | 0);
    const cellOf = new Int32Array(cols * rows).fill(-1);
    const works = [];
    const byId = new Map();
    for (const work of manifest.works || []) {
      if (!(work.col >= 0 && work.col < cols && work.row >= 0 && work.row < rows)) continue;
      cellOf[work.row * cols + work.col] = works.length;
      byId.set(work.id, works.length);
      works.push(work);
    }
    const count = manifest.count ?? works.length;
    const model = {
      manifest, cols, rows, cellOf, works, byId, count,
      /** Whether works are still to come: the picture is shown meanwhile. */
      loading: count > 0 && !works.length,
      key: m.keyOf(manifest),
      pyramid: manifest.pyramid ? pyramidOf(manifest) : singleFileOf(manifest),
      indexAt(col, row) {
        return col >= 0 && row >= 0 && col < cols && row < rows ? cellOf[row * cols + col] : -1;
      },
      regions: m.regionsOf(manifest),
      facets: null,
      search: null,
    };
    return model;
  };

  /** Levels of a Deep Zoom pyramid, a tile's address '' while its hash is not loaded; `cellPx` halves with every level above the deepest. */
  function pyramidOf({ pyramid, grid, deepHash }) {
    const size = Math.max(1, pyramid.tile_size | 0);
    const format = /^[a-z0-9]{1,8}$/i.test(pyramid.format) ? pyramid.format : 'jpg';
    const levels = new Map();
    for (let level = pyramid.min_level; level <= pyramid.max_level; level += 1) {
      const shrink = 2 ** (pyramid.max_level - level);
      const width = Math.max(1, Math.ceil(pyramid.width / shrink));
      const height = Math.max(1, Math.ceil(pyramid.height / shrink));
      levels.set(level, {
        width, height, size,
        cellPx: grid.cell_px / shrink,
        overlap: pyramid.overlap | 0,
        cols: Math.ceil(width / size),
        rows: Math.ceil(height / size),
        hashes: String(pyramid.levels[level - pyramid.min_level] || ''),
      });
    }
    return {
      levels,
      min: pyramid.min_level,
      max: pyramid.max_level,
      url(level, col, row) {
        const { cols, hashes } = levels.get(level);
        const start = 8 * (row * cols + col);
        const hash = hashes ? hashes.slice(start, start + 8) : deepHash && deepHash(level, col, row);
        if (!hash) return '';
        return `t/${level}/${col}_${row}-${encodeURIComponent(hash)}.${format}`;
      },
    };
  }

  /** Without a pyramid: the preview as the upper level and the mosaic's file as the deepest, one tile each. */
  function singleFileOf({ mosaic, grid, generation, published_ms: published }) {
    const levels = new Map();
    const shrink = Math.max(1, Math.max(mosaic.width, mosaic.height) / 2048);
    const oneTile = (cellPx) => {
      const [width, height] = [Math.max(1, cellPx * grid.cols), Math.max(1, cellPx * grid.rows)];
      return { width, height, cellPx, size: Math.max(width, height), overlap: 0, cols: 1, rows: 1 };
    };
    levels.set(0, oneTile(mosaic.cell_px / shrink));
    levels.set(1, oneTile(mosaic.cell_px));
    const urls = [`preview.jpg?${generation}-${published}`, encodeURI(mosaic.file)];
    return { levels, min: 0, max: 1, url: (level) => urls[level] };
  }

  /** The level whose cells are at least `px` device pixels wide, or nearly; clamped to the levels that exist. */
  m.levelFor = function (pyramid, px) {
    // A tile may be stretched by up to 15 % before the next level, four times its bytes, is worth loading.
    const wanted = px / 1.15;
    for (let level = pyramid.min; level < pyramid.max; level += 1) {
      if (pyramid.levels.get(level).cellPx >= wanted) return level;
    }
    return pyramid.max;
  };

  /** Was the work placed within the week before `now`? */
  m.isNew = (work, now) => work.added_ms > now - WEEK_MS;

  /**
   * Where the original is served, or null; `{path}` is replaced, URL-encoded segment by segment. Only what is named like the
   * picture that it is is linked: a server takes the type from the name, and a picture named x.html would be served as a page.
   */
  m.originalOf = function (model, work) {
    const pattern = model.manifest.link;
    if (typeof pattern !== 'string' || !pattern || work.path === undefined || work.unlinked || !PICTURE.test(work.path)) return null;
    // Bytes that the manifest escapes are escaped once.
    const encode = (part) => encodeURIComponent(part).replace(/%25([0-9A-Fa-f]{2})/g, '%$1');
    const path = work.path.split('/').map(encode).join('/');
    return harmless(pattern.split('{path}').join(path));
  };

  /** Where to read more of a work, or null. */
  m.linkOf = (work) => (typeof work.link === 'string' && work.link ? harmless(work.link) : null);

  function harmless(address) {
    try {
      const url = new URL(address, location.href);
      return ['http:', 'https:', 'file:'].includes(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  }

  /** What search compares: all that is known of a work, and last, after a slash, what it is called. */
  function searched(work) {
    const [artist, title] = [m.artistOf(work), textOf(work.title)];
    return m.fold((title ? [work.path, artist, title] : [artist, work.path]).filter(Boolean).join('/'));
  }

  /**
   * Of a vocabulary, the words that a search asks for, at most `limit` indices, those that begin with it first: words that
   * hold it as whole words, and only if there are none, those in which it begins words. `counts` are their works.
   */
  m.searchVocabulary = function (words, counts, text, limit) {
    const asked = m.fold(text.trim()).split(/\s+/).filter(Boolean);
    const hold = (whole) => words.map((word, i) => [m.fold(word).split(/[\s-]+/), i]).filter(([parts, i]) => counts[i]
      && asked.every((one) => parts.some((part) => (whole ? part === one : part.startsWith(one)))));
    if (!asked.length) return [];
    const whole = hold(true);
    const found = whole.length ? whole : hold(false);
    return found.sort(([a, i], [b, j]) => (a[0] !== asked[0]) - (b[0] !== asked[0]) || a.length - b.length || i - j)
      .slice(0, limit).map(([, i]) => i);
  };

  /**
   * Works whose path, title or artist holds every word of `text`: `{total, best, all}`, `best` at most `limit` indices, best first.
   *
   * A name that starts with the text comes before one with a word that does, and that before any other.
   */
  m.searchWorks = function (model, text, limit) {
    const query = m.fold(text.trim());
    const all = [];
    if (!query) return { all, best: [], total: 0 };
    // Folding 60,000 names takes a tenth of a second: done once, when somebody first searches.
    model.search = model.search || model.works.map(searched);
    const words = query.split(/\s+/);
    const ranked = [[], [], []];
    model.search.forEach((path, i) => {
      if (!words.every((word) => path.includes(word))) return;
      all.push(i);
      const name = path.slice(path.lastIndexOf('/') + 1);
      const at = name.indexOf(query);
      const rank = at === 0 ? 0 : at > 0 && /[^a-z0-9]/.test(name[at - 1]) ? 1 : 2;
      if (ranked[rank].length < limit) ranked[rank].push(i);
    });
    return { all, best: ranked.flat().slice(0, limit), total: all.length };
  };
})(window.mosaicd = window.mosaicd || {});
