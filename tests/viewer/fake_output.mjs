// Writes an output folder like the publisher's, for trials and tests of the viewer alone: tiles, manifest, page.
//
//   node tests/viewer/fake_output.mjs DIR [--works 600] [--cell 128] [--title TEXT] [--folders] [--link PATTERN]
//   node tests/viewer/fake_output.mjs DIR --artworks FOLDER   (decodes pictures with Chromium through playwright-core)
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync, existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawScene, encodePng, FAMILY_NAMES, halve, random, sceneOf } from './pictures.mjs';

const VIEWER = join(dirname(fileURLToPath(import.meta.url)), '../../src/viewer');
const TILE = 256;
const BACKGROUND = [24, 23, 22];

const read = (file) => readFileSync(join(VIEWER, file), 'utf8');
const texts = () => [...read('mod.rs').matchAll(/\("(\w+)", include_str!\("(texts\/[^"]+)"\)\)/g)].map(([, tag, file]) => [tag, read(file)]);

/** `viewer.js` as `page.rs` joins it, comments included: English, then the scripts. */
export function joinScripts() {
  const [[, english], ...others] = texts();
  const scripts = [...read('mod.rs').matchAll(/include_str!\("(js\/[^"]+)"\)/g)].map(([, file]) => read(file));
  const tags = JSON.stringify(['en', ...others.map(([tag]) => tag)]);
  return `window.mosaicd = { languages: ${tags}, texts: { "en": ${english} } };\n${scripts.join('')}`;
}

/** Copies the page's files. */
export function writePage(dir) {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'viewer.js'), joinScripts());
  for (const [tag, text] of texts()) writeFileSync(join(dir, `texts-${tag}.js`), `mosaicd.texts["${tag}"] = ${text};`);
  for (const file of ['index.html', 'viewer.css', 'embed.js', 'icon.png', 'apple-touch-icon.png']) {
    writeFileSync(join(dir, file), readFileSync(join(VIEWER, file)));
  }
}

/** Pictures by key at every size from `cellPx` down to one pixel, made once. */
export class Pictures {
  #mips = new Map();
  constructor(cellPx, draw = (key, px) => drawScene(sceneOf(key), px)) { this.cellPx = cellPx; this.draw = draw; }
  at(key, px) {
    let mips = this.#mips.get(key);
    if (!mips) {
      mips = new Map();
      let rgb = this.draw(key, this.cellPx);
      for (let size = this.cellPx; size >= 1; size /= 2) {
        mips.set(size, rgb);
        if (size > 1) rgb = halve(rgb, size);
      }
      this.#mips.set(key, mips);
    }
    return mips.get(px);
  }
}

/**
 * Writes one generation. `works`: `[{id, path, col, row, picture, size, added_ms, neighbours}]`, `picture` a key for
 * `pictures`. Tiles that exist already are left alone, as the publisher does. Returns the manifest.
 */
export function writeGeneration(dir, { works, cols, rows, pictures, generation = 1, published = Date.now(), title = 'Mosaic', link = null, large = null, change = {} }) {
  const { cellPx } = pictures;
  const [width, height] = [cols * cellPx, rows * cellPx];
  const max = Math.ceil(Math.log2(Math.max(width, height, 1)));
  let min = max;
  while (min > 0 && Math.max(width, height) / 2 ** (max - min) > TILE) min -= 1;
  const at = new Map(works.map((work) => [work.row * cols + work.col, work]));
  const levels = [];
  for (let level = min; level <= max && works.length; level += 1) levels.push(writeLevel(dir, { level, cellPx: cellPx / 2 ** (max - level), width: Math.ceil(width / 2 ** (max - level)), height: Math.ceil(height / 2 ** (max - level)), cols, at, pictures }));
  const manifest = {
    schema: 1, generation, published_ms: published, model: 'builtin', title,
    grid: { cols, rows, cell_px: cellPx },
    mosaic: { file: `mosaic-${generation}.jpg`, cell_px: cellPx, width, height },
    pyramid: works.length ? { width, height, tile_size: TILE, overlap: 0, format: 'png', min_level: min, max_level: max, levels } : null,
    background: '#181716', fit: 'cover', link,
    works: works.map(({ id, path, col, row, picture, size = 4096, added_ms = 0, neighbours = [], fields }) => ({
      id, path, col, row, x: col, y: row,
      hash: createHash('sha256').update(String(picture)).digest('hex'),
      size, added_ms, neighbours, fields, ...(large && { large: writeLarge(dir, picture, large(picture)) }) })),
    moves: { added: 0, removed: 0, moved: 0, grown: 0 }, quality: null, ...change,
  };
  publish(dir, manifest);
  return manifest;
}

/** Writes a work's rendition, `{rgb, width, height}`; the manifest says that it is `says` times as large. A PNG under a JPEG's name: browsers look at the bytes. */
function writeLarge(dir, picture, { rgb, width, height, says = 1 }) {
  const hash = createHash('sha256').update(String(picture)).digest('hex').slice(0, 32);
  const file = `large/${hash.slice(0, 2)}/${hash}-00000000-${width}x${height}.jpg`;
  mkdirSync(dirname(join(dir, file)), { recursive: true });
  if (!existsSync(join(dir, file))) writeFileSync(join(dir, file), encodePng(rgb, width, height));
  return { file, width: says * width, height: says * height };
}

/** Renames manifest and latest into place, as JSON and as scripts. */
export function publish(dir, manifest) {
  const { schema, generation, published_ms } = manifest;
  for (const [name, document] of [['manifest', manifest], ['latest', { schema, generation, published_ms }]]) {
    // `<` is legal in both, and a script may hold U+2028 since ES2019.
    const json = JSON.stringify(document);
    for (const [file, text] of [[`${name}.json`, json], [`${name}.js`, `mosaicd.${name}(${json});\n`]]) {
      writeFileSync(join(dir, `.${file}`), text);
      renameSync(join(dir, `.${file}`), join(dir, file));
    }
  }
}

function writeLevel(dir, { level, cellPx, width, height, cols, at, pictures }) {
  const hashes = [];
  mkdirSync(join(dir, 't', String(level)), { recursive: true });
  for (let row = 0; row * TILE < height; row += 1) {
    for (let col = 0; col * TILE < width; col += 1) {
      const [w, h] = [Math.min(TILE, width - col * TILE), Math.min(TILE, height - row * TILE)];
      const rgb = composeTile(col * TILE, row * TILE, w, h, cellPx, cols, at, pictures);
      const hash = createHash('sha256').update(rgb).digest('hex').slice(0, 8);
      const file = join(dir, 't', String(level), `${col}_${row}-${hash}.png`);
      if (!existsSync(file)) writeFileSync(file, encodePng(rgb, w, h));
      hashes.push(hash);
    }
  }
  return hashes.join('');
}

function composeTile(x0, y0, w, h, cellPx, cols, at, pictures) {
  const rgb = Buffer.alloc(w * h * 3);
  for (let i = 0; i < rgb.length; i += 1) rgb[i] = BACKGROUND[i % 3];
  if (cellPx < 1) {
    for (let y = 0; y < h; y += 1) {
      for (let x = 0; x < w; x += 1) {
        const [col, row] = [Math.floor((x0 + x) / cellPx), Math.floor((y0 + y) / cellPx)];
        const work = col < cols && at.get(row * cols + col);
        if (work) pictures.at(work.picture, 1).copy(rgb, (y * w + x) * 3);
      }
    }
    return rgb;
  }
  for (let row = Math.floor(y0 / cellPx); row * cellPx < y0 + h; row += 1) {
    for (let col = Math.floor(x0 / cellPx); col * cellPx < x0 + w; col += 1) {
      const work = at.get(row * cols + col);
      if (!work || col >= cols) continue;
      const picture = pictures.at(work.picture, cellPx);
      const left = Math.max(x0, col * cellPx);
      const right = Math.min(x0 + w, (col + 1) * cellPx);
      for (let y = Math.max(y0, row * cellPx); y < Math.min(y0 + h, (row + 1) * cellPx); y += 1) {
        const from = ((y - row * cellPx) * cellPx + left - col * cellPx) * 3;
        picture.copy(rgb, ((y - y0) * w + left - x0) * 3, from, from + (right - left) * 3);
      }
    }
  }
  return rgb;
}

/** Places works with `hue` and `light` as the post does: strips of columns by one, rows within a strip by the other. */
export function arrange(works, cols, rows) {
  const sorted = [...works].sort((a, b) => a.hue - b.hue);
  const strip = Math.ceil(sorted.length / cols);
  sorted.forEach((work, i) => { work.col = Math.floor(i / strip); });
  for (let col = 0; col < cols; col += 1) {
    const column = sorted.filter((work) => work.col === col).sort((a, b) => a.light - b.light);
    column.forEach((work, i) => { work.row = i; });
  }
  const at = new Map(works.map((work) => [work.row * cols + work.col, work]));
  for (const work of works) {
    work.neighbours = [];
    for (const [dx, dy] of [[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, 1], [2, 0], [0, 2], [1, -1], [-1, -1]]) {
      const other = at.get((work.row + dy) * cols + work.col + dx);
      if (other && work.col + dx >= 0 && work.col + dx < cols) work.neighbours.push(other.id);
    }
  }
  return works;
}

const ADJECTIVES = ['quiet', 'amber', 'folded', 'tidal', 'paper', 'hollow', 'northern', 'velvet', 'glass', 'salt', 'slow', 'electric', 'morning', 'copper', 'drifting', 'lunar'];
const NOUNS = ['lantern', 'harbour', 'meadow', 'engine', 'orchard', 'signal', 'canyon', 'choir', 'mirror', 'garden', 'tide', 'window', 'satellite', 'ember', 'archive', 'waltz'];

/** `count` works of sample scenes; at most `pictures` different ones. */
export function sampleWorks(count, { folders = false, pictures = count, now = Date.now(), seed = 1 } = {}) {
  const r = random(seed);
  return Array.from({ length: count }, (_, id) => {
    const picture = 1 + (id % pictures);
    const scene = sceneOf(picture);
    const name = `${ADJECTIVES[Math.floor(r() * 16)]}-${NOUNS[Math.floor(r() * 16)]}-${id}.png`;
    const days = id % 23 === 0 ? r() * 6 : 8 + r() * 500;
    return { id, picture, path: folders ? `${scene.family}/${name}` : name, hue: scene.hue + 3 * FAMILY_NAMES.indexOf(scene.family), light: scene.light,
      size: Math.floor(20000 + r() * 900000), added_ms: Math.floor(now - days * 86400000) };
  });
}

/** Decodes a folder of pictures to cells with Chromium: `{works, draw}`. */
async function decodeFolder(folder, cellPx) {
  const { launch } = await import('./browser.mjs');
  const browser = await launch();
  const page = await browser.newPage();
  const cells = new Map();
  const works = [];
  const kinds = { '.png': 'image/png', '.jpg': 'image/jpeg', '.gif': 'image/gif', '.webp': 'image/webp' };
  for (const file of readdirSync(folder).sort()) {
    const url = `data:${kinds[extname(file)]};base64,${readFileSync(join(folder, file)).toString('base64')}`;
    const rgba = await page.evaluate(async ([url, px]) => {
      const image = new Image();
      image.src = url;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: px, height: px });
      const context = canvas.getContext('2d');
      context.imageSmoothingQuality = 'high';
      const side = Math.min(image.width, image.height);
      context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, px, px);
      return Array.from(context.getImageData(0, 0, px, px).data);
    }, [url, cellPx]);
    const rgb = Buffer.from(rgba.filter((_, i) => i % 4 < 3));
    const mean = [0, 1, 2].map((c) => rgb.filter((_, i) => i % 3 === c).reduce((a, b) => a + b, 0) / (cellPx * cellPx));
    const [r, g, b] = mean;
    works.push({ id: works.length, picture: file, path: file, hue: Math.atan2(1.732 * (g - b), 2 * r - g - b), light: r + g + b,
      size: statSync(join(folder, file)).size, added_ms: Date.now() - (works.length % 40) * 86400000 });
    cells.set(file, rgb);
  }
  await browser.close();
  return { works, draw: (key) => cells.get(key) };
}

async function main() {
  const [dir, ...rest] = process.argv.slice(2);
  const option = (name, or) => (rest.includes(`--${name}`) ? rest[rest.indexOf(`--${name}`) + 1] : or);
  const cellPx = Number(option('cell', 128));
  const folder = option('artworks', null);
  let works;
  let pictures;
  if (folder) {
    const found = await decodeFolder(folder, cellPx);
    ({ works } = found);
    pictures = new Pictures(cellPx, found.draw);
  } else {
    const count = Number(option('works', 600));
    works = sampleWorks(count, { folders: rest.includes('--folders'), pictures: Math.min(count, Number(option('pictures', 1200))) });
    pictures = new Pictures(cellPx);
  }
  const cols = Math.ceil(Math.sqrt(works.length * 1.25));
  const rows = Math.ceil(works.length / cols);
  arrange(works, cols, rows);
  writePage(dir);
  writeGeneration(dir, { works, cols, rows, pictures, title: option('title', 'Mosaic'), link: option('link', null) });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
