// The page's own files below `p/`: the head, blocks of works and of tiles, and deltas between heads.
//
// Each is named by its content and never changes. `follow(latest)` goes to the newest state by deltas where it can, by the
// head where it cannot, and gives it in the form of a manifest, for `m.createModel`. Works get their texts when somebody
// needs them: `need`. Draws nothing. What works look like is asked with `looksLike`.
(function (m) {
  'use strict';

  const IDS = { cells: 4096, facet: 4096, text: 256, near: 256 }; // Ids of a block.
  const WORDS = 64; // Words of a block.
  const VOCABULARY = 3; // Words of the vocabulary that a search is taken for at most.
  const SIDE = 32; // Tiles along the side of a block of tiles.
  const PARALLEL = 8;
  const RETRY_MS = 3000;
  const PICTURE_MS = 4000; // The first picture has the network to itself for so long at most.
  const NONE = '00000000';
  const WANTED = 'wanted'; // Stands for what `want` asks for among what failed.

  async function read(name) {
    const answer = await fetch(`p/${name}.json`, { credentials: 'same-origin' });
    if (!answer.ok) throw new Error(`p/${name}.json: HTTP ${answer.status}`);
    return answer.json();
  }

  const hashOf = (file) => String(file).slice(-13, -5);
  const nameAt = (names, n) => (names || '').slice(8 * n, 8 * n + 8) || NONE;
  const withName = (names, n, name) => (names || '').padEnd(8 * n, NONE).slice(0, 8 * n) + name + (names || '').slice(8 * n + 8);

  /** The numbers of a column that holds differences. */
  function sums(steps) {
    let sum = 0;
    return steps.map((step) => { sum += step; return sum; });
  }

  /** The state after a delta; works that stay where they are stay the same objects. */
  m.applyDelta = function (state, delta) {
    const head = { ...state.head, says: { ...state.head.says, ...delta.says }, count: delta.count };
    const placed = new Map();
    for (let i = 0; i + 3 < delta.placed.length; i += 4) placed.set(delta.placed[i], delta.placed.slice(i + 1, i + 4));
    const [gone, edited] = [new Set(delta.gone), new Set(delta.edited)];
    const works = [];
    for (const old of state.works) {
      if (gone.has(old.id)) continue;
      const [col, row, added] = placed.get(old.id)
        || [old.col + (delta.cols[old.col] || 0), old.row + (delta.rows[old.row] || 0), old.added_ms / 60000];
      placed.delete(old.id);
      const same = col === old.col && row === old.row && !edited.has(old.id);
      works.push(same ? old : { ...old, col, row, added_ms: added * 60000, hash: edited.has(old.id) ? head.says.generation : old.hash });
    }
    for (const [id, [col, row, added]] of placed) works.push({ id, col, row, added_ms: added * 60000, hash: 0 });
    works.sort((a, b) => a.id - b.id);

    head.blocks = { ...head.blocks };
    for (const [kind, names] of Object.entries(delta.blocks)) {
      for (const [n, name] of names) head.blocks[kind] = withName(head.blocks[kind], n, name);
    }
    head.tiles = { ...head.tiles };
    const deep = new Map(state.deep);
    for (const [level, names] of Object.entries(delta.tile_blocks)) {
      for (const [n, name] of names) {
        head.tiles[level] = withName(head.tiles[level], n, name);
        if (delta.levels) deep.delete(`${level}-${n}`);
      }
    }
    head.levels = delta.levels || [...head.levels];
    const { pyramid } = head.says;
    for (const [level, n, hash] of delta.tiles) {
      const at = level - pyramid.min_level;
      if (head.levels[at]) head.levels[at] = withName(head.levels[at], n, hash);
      else patchDeep(deep, pyramid, level, n, hash);
    }
    const facets = new Map(head.facets.map((facet) => [facet.name, facet]));
    const columns = delta.columns || [...facets.keys()];
    head.facets = columns.map((name) => facets.get(name) || { name, values: [] }).map((facet) => {
      const counts = new Map(facet.values);
      for (const [name, value, count] of delta.facets) {
        if (name !== facet.name) continue;
        if (count) counts.set(value, count);
        else counts.delete(value);
      }
      return { ...facet, values: [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)) };
    });
    return { head, works, deep, name: delta.to };
  };

  const colsOf = (pyramid, level) => Math.max(1, Math.ceil(Math.ceil(pyramid.width / 2 ** (pyramid.max_level - level)) / pyramid.tile_size));

  /** Where a tile's hash lies: the block's number, and the place in it. */
  function placeOf(pyramid, level, col, row) {
    const cols = colsOf(pyramid, level);
    const [left, top] = [col - (col % SIDE), row - (row % SIDE)];
    const n = (top / SIDE) * Math.ceil(cols / SIDE) + left / SIDE;
    return { n, at: 8 * ((row - top) * Math.min(SIDE, cols - left) + col - left) };
  }

  function patchDeep(deep, pyramid, level, tile, hash) {
    const cols = colsOf(pyramid, level);
    const { n, at } = placeOf(pyramid, level, tile % cols, Math.floor(tile / cols));
    const text = deep.get(`${level}-${n}`);
    if (text) deep.set(`${level}-${n}`, text.slice(0, at) + hash + text.slice(at + 8));
  }

  /** `onPart()` after a block of tiles has come, `onLost()` where one could not be had. */
  m.createParts = function ({ onPart, onLost }) {
    const parts = {};
    const loads = new Map(); // name → promise
    const failed = new Map(); // name → when it may be asked for again
    const loaded = new Map(); // kind-n → the name of the block that works have got
    let state = null; // {name, head, works, deep: level-n → hashes}
    let model = null;

    function load(name) {
      if (!loads.has(name)) loads.set(name, read(name).finally(() => loads.delete(name)));
      return loads.get(name);
    }

    /** The hash of a deep tile, or '' until its block is here. */
    function deepHash(of, level, col, row) {
      const { pyramid } = of.head.says;
      const { n, at } = placeOf(pyramid, level, col, row);
      const key = `${level}-${n}`;
      const text = of.deep.get(key);
      if (text) return text.slice(at, at + 8);
      const name = `tiles-${key}-${nameAt(of.head.tiles[level], n)}`;
      if (!loads.has(name) && !(performance.now() < failed.get(name))) {
        load(name).then((hashes) => { of.deep.set(key, hashes); onPart(); }, () => {
          failed.set(name, performance.now() + RETRY_MS);
          onLost();
        });
      }
      return '';
    }

    /** The state in the form of a manifest. */
    function manifest(of) {
      const { says, levels, count, facets } = of.head;
      return { ...says, pyramid: says.pyramid && { ...says.pyramid, levels }, works: of.works, count, facets, parts,
        deepHash: (level, col, row) => deepHash(of, level, col, row) };
    }
    const show = (next, onModel) => {
      state = next;
      model = m.createModel(manifest(state));
      return onModel(model);
    };

    /**
     * Goes to the state that `latest.json` names; `onModel(model)` gets it, at first without works: they load when it has a
     * picture, which would wait for all of them otherwise.
     */
    parts.follow = async (latest, onModel) => {
      const wanted = hashOf(latest.head);
      // Where a delta cannot be had or read, the head can.
      const next = state && state.works && await byDeltas(latest, wanted).catch(() => null);
      if (next) { show(next, onModel); return; }
      const head = await load(`head-${wanted}`);
      const deep = new Map();
      if (!model || model.loading) {
        const picture = show({ name: wanted, head, works: [], deep }, onModel);
        await Promise.race([picture, new Promise((resolve) => { setTimeout(resolve, PICTURE_MS); })]);
      }
      const names = head.blocks.cells || '';
      const blocks = [];
      for (let n = 0; n < names.length / 8; n += 1) if (nameAt(names, n) !== NONE) blocks.push(`cells-${n}-${nameAt(names, n)}`);
      const known = new Map((state.works || []).map((work) => [work.id, work]));
      const works = (await several(blocks)).flatMap(worksOf).map((work) => {
        const old = known.get(work.id);
        return old && old.col === work.col && old.row === work.row ? old : { ...old, ...work, hash: old ? old.hash : 0 };
      });
      show({ name: wanted, head, works, deep }, onModel);
    };

    async function byDeltas(latest, wanted) {
      if (!latest.delta) return null;
      const newest = await load(`delta-${hashOf(latest.delta)}`);
      if (newest.to !== wanted) return null;
      const chain = [[newest.from, null], ...newest.earlier];
      const far = chain.findIndex(([from]) => from === state.name);
      if (far < 0) return null;
      const files = await several(chain.slice(1, far + 1).map(([, delta]) => `delta-${delta}`));
      let next = state;
      for (const delta of [newest, ...files].reverse()) {
        if (delta.from !== next.name) return null;
        next = m.applyDelta(next, delta);
      }
      return next;
    }

    const worksOf = ({ id, col, row, added }) => {
      const [ids, minutes] = [sums(id), sums(added)];
      return ids.map((id, i) => ({ id, col: col[i], row: row[i], added_ms: minutes[i] * 60000, hash: 0 }));
    };

    /** Several files, a few at a time. */
    async function several(names) {
      const found = [];
      let next = 0;
      const worker = async () => {
        while (next < names.length) {
          const i = next;
          next += 1;
          found[i] = await load(names[i]);
        }
      };
      await Promise.all(Array.from({ length: Math.min(PARALLEL, names.length) }, worker));
      return found;
    }

    // ---- what is known of works ----

    const fill = {
      text(work, { path, title, artist, link, unlinked }, i) {
        Object.assign(work, { path: path[i], title: title && title[i], artist: artist && artist[i], link: link && link[i] });
        work.unlinked = Boolean(unlinked && unlinked[i]);
      },
      near(work, { size, near, large }, i) {
        Object.assign(work, { size: size[i], neighbours: near[i], large: m.renditionNamed(large && large[i]) });
      },
      facet(work, { columns }, i) {
        work.values = new Map(columns.map(({ name, values, of }) => [name, [].concat(of[i] ?? []).map((n) => values[n])]));
      },
    };

    const wanting = (kind, ids) => {
      const names = state.head.blocks[kind] || '';
      const numbers = ids ? new Set(ids.map((id) => Math.floor(id / IDS[kind]))) : Array.from({ length: names.length / 8 }, (_, n) => n);
      return [...numbers].filter((n) => nameAt(names, n) !== NONE && loaded.get(`${kind}-${n}`) !== nameAt(names, n));
    };

    /** Whether all of `kinds` ('text', 'near', 'facet') is known of works `ids`, null: of all. */
    parts.has = (kinds, ids) => kinds.every((kind) => !wanting(kind, ids).length);

    /** Loads it; rejects where it cannot be had. */
    parts.need = async (kinds, ids) => {
      for (let again = 0; again < 3; again += 1) {
        const wanted = kinds.flatMap((kind) => wanting(kind, ids).map((n) => [kind, n, nameAt(state.head.blocks[kind], n)]));
        if (!wanted.length) return;
        const blocks = await several(wanted.map((block) => block.join('-')));
        wanted.forEach(([kind, n, name], at) => {
          if (nameAt(state.head.blocks[kind], n) !== name) return; // Another generation came meanwhile.
          const block = blocks[at];
          sums(block.id).forEach((id, i) => {
            const work = model.works[model.byId.get(id)];
            if (work) fill[kind](work, block, i);
          });
          loaded.set(`${kind}-${n}`, name);
        });
        model.search = null;
      }
    };

    /** Loads it without a promise; `onPart` follows. */
    parts.want = (kinds, ids) => {
      if (parts.has(kinds, ids) || performance.now() < failed.get(WANTED)) return;
      failed.set(WANTED, performance.now() + RETRY_MS); // Once at a time.
      parts.need(kinds, ids).then(() => { failed.delete(WANTED); onPart(); }, onLost);
    };

    // ---- words ----

    const blocksOfWords = new Map(); // name → promise
    function blockOfWords(names, n) {
      const name = `words-${n}-${nameAt(names, n)}`;
      if (!blocksOfWords.has(name)) {
        if (blocksOfWords.size > 64) blocksOfWords.clear();
        blocksOfWords.set(name, load(name).catch((error) => { blocksOfWords.delete(name); throw error; }));
      }
      return blocksOfWords.get(name);
    }

    /** The words of the vocabulary that a search asks for, with the works that they fit best: `[{word, ids}]`. */
    parts.looksLike = async (text) => {
      const names = state.head.blocks.words;
      if (!names) return [];
      const { words, count } = await blockOfWords(names, 0);
      return Promise.all(m.searchVocabulary(words, count, text, VOCABULARY).map(async (i) => (
        { word: words[i], ids: (await blockOfWords(names, 1 + Math.floor(i / WORDS)))[i % WORDS] })));
    };

    return parts;
  };
})(window.mosaicd = window.mosaicd || {});
