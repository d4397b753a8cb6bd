// The page on small screens, by touch, with large text, in other languages, on paper and inside other pages.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { centreOf, click, createOutput, createStage, DAY, grid, near, colourOf, pixel, settled } from './stage.mjs';

let stage;
before(async () => { stage = await createStage(); });
after(() => stage?.end());

/** Boxes of elements, CSS pixels. */
const boxes = (page, ...ids) => page.evaluate((ids) => ids.map((id) => {
  const { left, top, right, bottom } = document.getElementById(id).getBoundingClientRect();
  return { left, top, right, bottom };
}), ids);
const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
/** Where the whole mosaic lies. */
const mosaicBox = (page) => page.evaluate(() => {
  const { camera } = window.mosaicd.app;
  const [from, to] = [camera.toScreen(0, 0), camera.toScreen(camera.cols, camera.rows)];
  return { left: from.x, top: from.y, right: to.x, bottom: to.y };
});

test('on small screens the card leaves the mosaic free, and nothing in it covers its picture', async () => {
  const works = grid(12, 8).map((work) => ({ ...work, neighbours: [1, 2, 3, 4, 5, 6, 7, 8].map((step) => 100 + ((work.id - 100 + step) % 96)) }));
  const { url } = createOutput(stage, works);
  for (const [width, height] of [[667, 375], [760, 500], [700, 1000], [640, 900], [844, 390], [390, 844], [320, 568], [1024, 768]]) {
    const page = await stage.open(url, { viewport: { width, height }, reducedMotion: 'reduce' });
    await settled(page);
    await page.evaluate(() => window.mosaicd.app.open(140));
    await settled(page);
    const [card, picture, text, more] = await boxes(page, 'card', 'card-picture', 'card-text', 'card-more');
    const mosaic = await mosaicBox(page);
    const size = `${width}×${height}`;
    assert.ok(apart(card, mosaic), `${size}: the card lies over the mosaic`);
    const free = (width * height - (card.right - card.left) * (card.bottom - card.top)) / (width * height);
    assert.ok(free > 0.4, `${size}: ${free} of the window is left`);
    assert.ok(Math.min(mosaic.right - mosaic.left, width) > 0.45 * Math.min(width, height), `${size}: the mosaic is ${mosaic.right - mosaic.left} wide`);
    assert.ok(apart(picture, more) && apart(picture, text), `${size}: the picture is covered`);
    await stage.close(page);
  }
});

test('a long title is not cut on a phone, and help is reachable', async () => {
  const title = 'Works on paper from the collections of the northern provinces, 1890 to 1930';
  const out = createOutput(stage, grid(12, 8), { title });
  for (const [width, height] of [[320, 568], [390, 844], [844, 390], [1200, 800]]) {
    const page = await stage.open(out.url, { viewport: { width, height }, hasTouch: true });
    await settled(page);
    const seen = await page.evaluate(() => {
      const part = document.getElementById('title');
      const box = part.getBoundingClientRect();
      return { text: part.textContent, cut: part.scrollWidth > part.clientWidth + 1 || part.scrollHeight > part.clientHeight + 1, right: box.right };
    });
    assert.equal(seen.text, title);
    assert.ok(!seen.cut && seen.right <= width, JSON.stringify(seen));
    const [masthead, tools] = await boxes(page, 'masthead', 'tools');
    assert.ok(apart(masthead, tools), 'title and tools lie apart');
    assert.ok(tools.left >= 0 && tools.right <= width, 'all tools are on the screen');
    await page.tap('#help-open');
    assert.equal(await page.evaluate(() => document.getElementById('help').open), true);
    await page.tap('#help-close');
    await stage.close(page);
  }
});

test('the first touch of a faded control only brings it back', async () => {
  const page = await stage.open(createOutput(stage).url, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await settled(page);
  await page.evaluate(() => { const { app } = window.mosaicd; app.flyTo(app.model.works[50], 300, 1); });
  await settled(page);
  const scale = () => page.evaluate(() => window.mosaicd.app.camera.scale);
  const middle = await page.evaluate(() => {
    const box = document.getElementById('zoom-out').getBoundingClientRect();
    return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  });
  const before = await scale();
  await page.waitForSelector('body.idle.deep', { timeout: 20000 });
  await page.touchscreen.tap(middle.x, middle.y);
  await page.waitForSelector('body:not(.idle)');
  await page.waitForTimeout(500); // A click or a tap on the work below would have come by now.
  await settled(page);
  assert.equal(await scale(), before, 'it does nothing else');
  assert.equal(await page.isVisible('#card'), false, 'nor does the work below it open');
  await page.touchscreen.tap(middle.x, middle.y);
  await page.waitForFunction((before) => window.mosaicd.app.camera.scale < before, before);
  await stage.close(page);
});

test('a touch that ends the slide show presses nothing that was hidden', async () => {
  const page = await stage.open(`${createOutput(stage).url}#slideshow`, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await page.waitForSelector('body.slideshow-on');
  const middle = await page.evaluate(() => {
    const box = document.getElementById('help-open').getBoundingClientRect();
    return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  });
  await page.touchscreen.tap(middle.x, middle.y);
  await page.waitForSelector('body:not(.slideshow-on)');
  await page.waitForTimeout(400);
  assert.equal(await page.evaluate(() => document.getElementById('help').open), false);
  await stage.close(page);
});

test('text at 200 % grows everywhere, region names too, and nothing is lost', async () => {
  const regions = [{ name: 'spheres', col: 20, row: 13, radius: 12, works: 40, words: [], seen: true }];
  const out = createOutput(stage, null);
  out.write(grid(40, 26), { cols: 40, rows: 26, change: { regions } });
  const sizesAt = async (zoom, viewport) => {
    const page = await stage.open(out.url, { viewport, init: zoom === 100 ? undefined
      : `addEventListener('DOMContentLoaded', () => { document.documentElement.style.fontSize = '${zoom}%'; });` });
    await settled(page);
    const drawn = await page.evaluate(async () => {
      const { app } = window.mosaicd;
      const context = app.canvas.getContext('2d');
      let px = 0;
      context.fillText = () => { px = parseFloat(/([\d.]+)px/.exec(context.font)[1]); };
      for (let frame = 0; !px && frame < 120; frame += 1) {
        app.requestFrame();
        await new Promise(requestAnimationFrame);
      }
      delete context.fillText;
      return px;
    });
    await page.evaluate(() => window.mosaicd.app.open(140));
    await settled(page);
    const facts = await page.evaluate(() => {
      const size = (id) => parseFloat(getComputedStyle(document.getElementById(id)).fontSize);
      const box = document.getElementById('card').getBoundingClientRect();
      return { sizes: ['title', 'count', 'card-name', 'card-facts', 'card-path', 'notice', 'help-title', 'search-input', 'caption', 'label'].map(size),
        wide: document.getElementById('card-text').scrollWidth - document.getElementById('card-text').clientWidth,
        inside: box.left >= 0 && box.right <= innerWidth };
    });
    await stage.close(page);
    return { ...facts, drawn };
  };
  const [once, twice] = [await sizesAt(100, { width: 1200, height: 800 }), await sizesAt(200, { width: 1200, height: 800 })];
  once.sizes.forEach((size, i) => assert.ok(Math.abs(twice.sizes[i] / size - 2) < 0.01, `size ${i}: ${size} and ${twice.sizes[i]}`));
  assert.ok(twice.inside && twice.wide <= 0);
  assert.ok(twice.drawn > 1.5 * once.drawn, `${once.drawn} and ${twice.drawn}`);
  const phone = await sizesAt(200, { width: 390, height: 844 });
  assert.ok(phone.inside && phone.wide <= 0);
  const wall = await sizesAt(100, { width: 3840, height: 2160 });
  assert.ok(wall.drawn >= 36, `region names on a 4k screen: ${wall.drawn} px`);
});

test('the page speaks the visitor\'s language, or the one that is fixed', async () => {
  const out = createOutput(stage, grid(12, 8), { title: '' });
  const dictionaries = Object.fromEntries(['en', 'de', 'fr', 'es', 'ja'].map((tag) => [tag,
    JSON.parse(readFileSync(new URL(`../../src/viewer/texts/${tag}.json`, import.meta.url), 'utf8'))]));
  for (const [locale, tag] of [['de-AT', 'de'], ['fr-CA', 'fr'], ['es-MX', 'es'], ['ja-JP', 'ja'], ['pt-BR', 'en']]) {
    const page = await stage.open(`${out.url}#work=100`, { locale });
    await settled(page);
    const texts = dictionaries[tag];
    const seen = await page.evaluate(() => ({ lang: document.documentElement.lang, help: document.getElementById('help-open').title,
      count: document.getElementById('count').textContent, like: document.getElementById('card-like-head').textContent,
      added: document.getElementById('card-added').textContent, title: document.getElementById('title').textContent,
      left: [...document.querySelectorAll('[data-text], [data-label]')].length }));
    assert.deepEqual([seen.lang, seen.help, seen.like, seen.title], [tag, `${texts.help} (?)`, texts['card.like'], texts.title]);
    assert.equal(seen.count, (texts.works.other).replace('{n}', '96'));
    if (tag === 'de') assert.equal(seen.added, 'vorgestern');
    await stage.close(page);
  }
  const page = readFileSync(join(out.dir, 'index.html'), 'utf8');
  writeFileSync(join(out.dir, 'index.html'), page.replace('<html lang="en">', '<html lang="fr" data-language="fr">'));
  const fixed = await stage.open(out.url, { locale: 'de-DE' });
  await settled(fixed);
  assert.equal(await fixed.evaluate(() => document.documentElement.lang), 'fr');
  assert.equal(await fixed.textContent('#count'), '96 œuvres');
  await stage.close(fixed);
});

test('N says something when every work is new, and when none is', async () => {
  for (const [days, said] of [[1, 'Every work is new this week'], [90, 'Nothing is new this week']]) {
    const works = grid(12, 8).map((work) => ({ ...work, added_ms: Date.now() - days * DAY }));
    const page = await stage.open(createOutput(stage, works).url);
    await settled(page);
    await page.keyboard.press('n');
    await page.waitForSelector('#notice.visible');
    assert.equal(await page.textContent('#notice-text'), said);
    await stage.close(page);
  }
});

test('names from right to left do not change the order of numbers beside them', async () => {
  const name = 'שלום 12';
  const works = grid(12, 8).map((work, i) => ({ ...work, path: `${i % 2 ? name : 'b'}/${name} \u061c${i}.png` }));
  const page = await stage.open(createOutput(stage, works).url);
  await settled(page);
  const apartInChips = await page.$$eval('.chip', (chips) => chips.map((chip) => {
    const [name, count] = [chip.querySelector('.chip-name'), chip.querySelector('.chip-count')];
    return name.getBoundingClientRect().right <= count.getBoundingClientRect().left + 1 && name.tagName === 'BDI';
  }));
  assert.ok(apartInChips.length >= 2 && apartInChips.every(Boolean));
  await click(page, 102);
  await page.waitForSelector('#card:not([hidden])');
  assert.equal(await page.textContent('#card-name'), `${name}  2`, 'an Arabic letter mark is no part of it');
  assert.equal(await page.title(), `\u2068${name} 2\u2069 · Test mosaic`);
  await page.waitForFunction(() => document.getElementById('live').textContent.startsWith('\u2068'));
  assert.match(await page.textContent('#live'), /^\u2068[^\u2069]+\u2069\. Column 3 of 12, row 1 of 8$/);
  await page.keyboard.press('Escape');
  assert.equal(await page.title(), 'Test mosaic');
  await stage.close(page);
});

test('on paper the mosaic keeps its proportions, without controls', async () => {
  const page = await stage.open(createOutput(stage).url, { viewport: { width: 1200, height: 800 } });
  await settled(page);
  await page.emulateMedia({ media: 'print' });
  await page.setViewportSize({ width: 700, height: 1000 });
  const seen = await page.evaluate(() => {
    const canvas = document.getElementById('mosaic');
    const box = canvas.getBoundingClientRect();
    return { fit: getComputedStyle(canvas).objectFit, ratio: box.width / box.height, own: canvas.width / canvas.height,
      hidden: ['tools', 'zoom', 'chips', 'card'].every((id) => !document.getElementById(id).checkVisibility()), title: document.getElementById('title').checkVisibility() };
  });
  assert.ok(seen.hidden && seen.title, JSON.stringify(seen));
  assert.ok(seen.fit === 'contain' || Math.abs(seen.ratio - seen.own) < 0.01, JSON.stringify(seen));
  await stage.close(page);
});

test('in another page the wheel scrolls that page until the mosaic is clicked, or Ctrl is held', async () => {
  const out = createOutput(stage);
  mkdirSync(join(stage.root, 'host'), { recursive: true });
  writeFileSync(join(stage.root, 'host', 'index.html'), `<!DOCTYPE html><title>Host</title><link rel="icon" href="data:,">
    <script src="${out.url}embed.js"></script><p style="height: 100px">Above</p>
    <mosaic-wall style="width: 800px" label="Our works"></mosaic-wall><p style="height: 3000px">Below</p>`);
  const page = await stage.open(`${stage.base}/host/`);
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  await settled(frame);
  assert.equal(frame.url(), `${out.url}?embed`);
  assert.equal(await page.getAttribute('iframe', 'title'), 'Our works');
  assert.equal(await frame.isVisible('#masthead'), false);
  assert.equal(await frame.isVisible('#zoom'), true);
  const scale = () => frame.evaluate(() => window.mosaicd.app.camera.scale);
  const before = await scale();
  await page.mouse.move(400, 300);
  await page.mouse.wheel(0, 60);
  await page.waitForFunction(() => scrollY > 0);
  assert.equal(await scale(), before, 'the page around scrolls');
  await frame.waitForSelector('#notice.visible');
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -200);
  await page.keyboard.up('Control');
  await frame.waitForFunction((before) => window.mosaicd.app.camera.scale > before, before);
  await settled(frame);
  await page.mouse.click(400, 300);
  const [taken, scrolled] = [await scale(), await page.evaluate(() => scrollY)];
  await page.mouse.wheel(0, -200);
  await frame.waitForFunction((taken) => window.mosaicd.app.camera.scale > taken, taken);
  assert.equal(await page.evaluate(() => scrollY), scrolled);
  await stage.close(page);
});

test('with reduced motion the time-lapse is a few still pictures', async () => {
  const works = grid(12, 8);
  const out = createOutput(stage, works);
  const lines = Array.from({ length: 40 }, (_, g) => `mosaicd.past("00000000",${JSON.stringify({ g: g + 1, t: 1_700_000_000_000 + g * DAY, c: [12, 8],
    p: works.slice(g * 2, g * 2 + 2).flatMap(({ id, col, row }) => [id, col, row]) })});\n`);
  writeFileSync(join(out.dir, 'history.js'), lines.join(''));
  const page = await stage.open(out.url, { reducedMotion: 'reduce' });
  await settled(page);
  const pictures = await page.evaluate(async () => {
    const { app } = window.mosaicd;
    const seen = new Set();
    // Its clock runs 40 times as fast, so that the test need not wait for it.
    const real = window.requestAnimationFrame.bind(window);
    let time = performance.now();
    window.requestAnimationFrame = (run) => real(() => { time += 640; run(time); });
    await app.timelapse.start();
    while (app.timelapse.on) {
      const canvas = document.getElementById('timelapse');
      if (canvas) seen.add(canvas.toDataURL('image/jpeg', 0.3).slice(-2000));
      await new Promise((done) => { real(done); });
    }
    return seen.size;
  });
  assert.ok(pictures >= 3 && pictures <= 13, `${pictures} pictures`);
  assert.ok(near(await pixel(page, await centreOf(page, 150)), colourOf(150)));
  await stage.close(page);
});
