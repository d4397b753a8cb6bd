// Behaviour of the viewer in a real browser: Chromium driven by playwright-core, both test-only.
//
//   MOSAICD_PLAYWRIGHT=<folder with node_modules> node --test tests/viewer/viewer.test.mjs
//
// Works here are flat colours, so that one pixel of the canvas tells which work is drawn there.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { centreOf, click, colourOf, createOutput, createStage, grid, near, pixel, settled } from './stage.mjs';

const HOSTILE = [
  '<img src=x onerror="window.hacked=1">.png',
  '"><script>window.hacked=1</script>\'`${1}`.png',
  'line\none\r\ttwo.png',
  'right\u202eto\u2066left.png',
  `${'\u00e9'.repeat(125)}.png`,
  '%ff%25name.png',
  'javascript:window.hacked=1.png',
  '</script><b>bold&amp;.png',
];

let stage;
const output = (...rest) => createOutput(stage, ...rest);
const open = (...rest) => stage.open(...rest);
const close = (page) => stage.close(page);

before(async () => { stage = await createStage(); });
after(() => stage?.end());

test('draws every work in its cell, at any pixel ratio', async () => {
  const { url } = output();
  for (const deviceScaleFactor of [1, 2, 2.625]) {
    const page = await open(url, { deviceScaleFactor });
    await settled(page);
    await page.waitForTimeout(250);
    for (const id of [100, 111, 140, 195]) {
      const seen = await pixel(page, await centreOf(page, id));
      assert.ok(near(seen, colourOf(id)), `work ${id} at ratio ${deviceScaleFactor}: ${seen}`);
    }
    await close(page);
  }
});

test('a small count is shown without what a browser loads to format numbers', async () => {
  const page = await open(output().url, { init: () => {
    const format = Number.prototype.toLocaleString;
    window.formatted = 0;
    Number.prototype.toLocaleString = function (...rest) { window.formatted += 1; return format.apply(this, rest); };
  } });
  await settled(page);
  assert.equal(await page.textContent('#count'), '96 works');
  assert.equal(await page.evaluate(() => window.formatted), 0);
  assert.equal(await page.evaluate(() => window.mosaicd.formatCount(12345)), '12,345');
  await close(page);
});

test('hovering names the work', async () => {
  const page = await open(output().url);
  await settled(page);
  const at = await centreOf(page, 117);
  await page.mouse.move(at.x, at.y);
  await page.waitForSelector('#label.visible');
  assert.equal(await page.textContent('#label-name'), 'work-017');
  await page.mouse.move(2, 400);
  await page.waitForSelector('#label:not(.visible)', { state: 'attached' });
  await close(page);
});

test('a click opens the card, a like flies there, Escape closes', async () => {
  const page = await open(output().url);
  await settled(page);
  await click(page, 102);
  await page.waitForSelector('#card:not([hidden])');
  assert.equal(await page.textContent('#card-name'), 'work-002');
  assert.equal(await page.textContent('#card-path'), 'spheres/work-002.png');
  assert.equal(await page.textContent('#card-size'), '1.2 KB');
  assert.equal(await page.textContent('#card-added'), '2 days ago');
  assert.equal(await page.isVisible('#card-new'), true);
  assert.equal(await page.isVisible('#card-link'), false);
  assert.equal(new URL(page.url()).hash, '#work=102');
  const likes = await page.$$eval('#card-like button', (list) => list.map((button) => button.title));
  assert.deepEqual(likes, ['work-003', 'work-004', 'work-005']);
  await page.click('#card-like li:nth-child(2) button');
  await settled(page);
  assert.equal(await page.textContent('#card-name'), 'work-004');
  const at = await centreOf(page, 104);
  assert.ok(at.x > 0 && at.x < 800 && at.y > 0 && at.y < 800, 'the work is in view beside the card');
  await page.goBack();
  await page.waitForFunction(() => document.getElementById('card-name').textContent === 'work-002');
  await page.keyboard.press('Escape');
  assert.equal(await page.isVisible('#card'), false);
  await close(page);
});

test('a double click zooms and opens no card', async () => {
  const page = await open(output().url);
  await settled(page);
  const before = await page.evaluate(() => window.mosaicd.app.camera.scale);
  const at = await centreOf(page, 150);
  await page.mouse.dblclick(at.x, at.y);
  await page.waitForTimeout(500);
  await settled(page);
  assert.ok(await page.evaluate(() => window.mosaicd.app.camera.scale) > before * 1.5);
  assert.equal(await page.isVisible('#card'), false);
  await close(page);
});

test('the wheel zooms about the pointer, a drag moves by as much as the hand', async () => {
  const page = await open(output().url);
  await settled(page);
  const at = await centreOf(page, 130);
  await page.mouse.move(at.x, at.y);
  await page.mouse.wheel(0, -300);
  await page.waitForTimeout(100);
  await settled(page);
  const zoomed = await centreOf(page, 130);
  assert.ok(Math.hypot(zoomed.x - at.x, zoomed.y - at.y) < 3, 'the work stays under the pointer');
  await page.mouse.move(600, 400);
  await page.mouse.down();
  await page.mouse.move(560, 380, { steps: 4 });
  await page.mouse.move(540, 370, { steps: 4 });
  await page.waitForTimeout(150); // A hand at rest does not throw.
  await page.mouse.up();
  await page.waitForTimeout(100);
  const dragged = await centreOf(page, 130);
  assert.ok(Math.abs(dragged.x - zoomed.x + 60) < 8 && Math.abs(dragged.y - zoomed.y + 30) < 8, JSON.stringify([zoomed, dragged]));
  await close(page);
});

test('search finds by name, with the keyboard, and flies there', async () => {
  const page = await open(output().url);
  await settled(page);
  await page.keyboard.press('/');
  await page.keyboard.type('WÓRK-07');
  assert.equal(await page.textContent('#search-status'), '10 works');
  assert.equal(await page.getAttribute('#search-input', 'aria-activedescendant'), 'search-0');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#card:not([hidden])');
  await settled(page);
  assert.equal(await page.textContent('#card-name'), 'work-071');
  assert.equal(await page.isVisible('#search'), false);
  const at = await centreOf(page, 171);
  assert.ok(at.x > 0 && at.x < 812 && at.y > 0 && at.y < 800);
  await page.keyboard.press('/');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('nothing like it');
  assert.equal(await page.textContent('#search-status'), 'No work has that name');
  await page.keyboard.press('Escape');
  assert.equal(await page.isVisible('#search'), false);
  assert.equal(await page.isVisible('#card'), true, 'Escape closes one thing at a time');
  await close(page);
});

test('links lead to a work, a path and a view', async () => {
  const { url } = output();
  const page = await open(`${url}#work=133`);
  await settled(page);
  assert.equal(await page.textContent('#card-name'), 'work-033');
  await page.evaluate(() => { location.hash = `#path=${encodeURIComponent('evens & odds/work-005.png')}`; });
  await page.waitForFunction(() => document.getElementById('card-name').textContent === 'work-005');
  await page.keyboard.press('Escape');
  await page.mouse.move(500, 300);
  await page.mouse.wheel(0, -400);
  await page.waitForFunction(() => location.hash.startsWith('#view='));
  await settled(page);
  await page.waitForFunction(() => {
    const { app } = window.mosaicd;
    return !app.camera.moving() && location.hash === window.mosaicd.viewAddress(app.model, app.camera);
  });
  const link = page.url();
  const seen = await page.evaluate(() => { const { x, y, scale } = window.mosaicd.app.camera; return { x, y, scale }; });
  const other = await open(link);
  await settled(other);
  const got = await other.evaluate(() => { const { x, y, scale } = window.mosaicd.app.camera; return { x, y, scale }; });
  assert.ok(Math.abs(got.x - seen.x) < 0.01 && Math.abs(got.y - seen.y) < 0.01 && Math.abs(got.scale / seen.scale - 1) < 0.01);
  await other.evaluate(() => { location.hash = '#work=999999'; });
  await other.waitForSelector('#notice.visible');
  assert.equal(await other.textContent('#notice-text'), 'This work is not in the mosaic');
  for (const bad of ['#work=<b>', '#view=1,2', '#view=a,b,c,d', '#path=%E0%A4%A', '#work=1e9', '#nonsense']) {
    await other.evaluate((hash) => { location.hash = hash; }, bad);
  }
  await close(other);
  await close(page);
});

test('the title has a ground of its own where works lie below it', async () => {
  const { url } = output();
  const page = await open(url, { viewport: { width: 900, height: 700 } });
  await settled(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.getElementById('masthead')).backgroundColor);
  const clear = 'rgba(0, 0, 0, 0)';
  assert.equal(await ground(), clear);
  const move = (dx, dy) => page.evaluate(([dx, dy]) => {
    const { app } = window.mosaicd;
    app.camera.x += dx;
    app.camera.y += dy;
    app.requestFrame();
  }, [dx, dy]);
  await move(2, 2);
  await page.waitForFunction((clear) => getComputedStyle(document.getElementById('masthead')).backgroundColor !== clear, clear);
  await move(-2, -2);
  await page.waitForFunction((clear) => getComputedStyle(document.getElementById('masthead')).backgroundColor === clear, clear);
  await close(page);
});

test('the keyboard reaches everything and is never trapped', async () => {
  const page = await open(output().url);
  await settled(page);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'mosaic');
  const start = await page.evaluate(() => window.mosaicd.app.cursor);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  const cell = await page.evaluate(() => window.mosaicd.app.cursor);
  assert.deepEqual(cell, { col: start.col + 1, row: start.row + 1 });
  await page.waitForFunction(() => /Column \d+ of 12, row \d+ of 8/.test(document.getElementById('live').textContent));
  await page.keyboard.press('Enter');
  assert.equal(await page.isVisible('#card'), true);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'card-close');
  await page.keyboard.press('ArrowRight');
  assert.deepEqual(await page.evaluate(() => window.mosaicd.app.cursor), { col: start.col + 2, row: start.row + 1 });
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'mosaic');
  for (let i = 0; i < 100; i += 1) await page.keyboard.press('ArrowLeft');
  assert.equal((await page.evaluate(() => window.mosaicd.app.cursor)).col, 0);
  const stops = new Set();
  for (let i = 0; i < 14; i += 1) {
    await page.keyboard.press('Tab');
    stops.add(await page.evaluate(() => document.activeElement.id || document.activeElement.className));
  }
  for (const id of ['search-open', 'slideshow', 'theme', 'zoom-in', 'home']) assert.ok(stops.has(id), `${id} is reachable`);
  const unnamed = await page.$$eval('button, a[href], input, canvas[tabindex]', (list) => list
    .filter((e) => e.checkVisibility() && !(e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.id));
  assert.deepEqual(unnamed, []);
  await page.keyboard.press('+');
  await settled(page);
  await page.keyboard.press('0');
  await settled(page);
  assert.equal(await page.evaluate(() => window.mosaicd.app.camera.home), true);
  await close(page);
});

test('hostile names are text', async () => {
  const works = grid(4, 2).map((work, i) => ({ ...work, path: i % 2 ? HOSTILE[i] : `${'<i>'}/${HOSTILE[i]}` }));
  const out = output(works, { cols: 4, rows: 2, link: 'https://example.invalid/o/{path}' });
  const page = await open(out.url);
  await page.route('https://example.invalid/**', (route) => route.abort());
  await settled(page);
  for (const { id } of works) {
    await page.evaluate((id) => window.mosaicd.app.open(id), id);
    const href = await page.getAttribute('#card-link', 'href');
    assert.ok(href.startsWith('https://example.invalid/o/') && !/[<>"\s]/.test(href), href);
    const box = await page.evaluate(() => { const e = document.getElementById('card-text'); return e.scrollWidth - e.clientWidth; });
    assert.ok(box <= 0, 'a long name does not widen the card');
  }
  await page.keyboard.press('/');
  await page.keyboard.type('.png');
  assert.equal(await page.locator('#search-list li').count(), 8);
  const at = await centreOf(page, 100);
  await page.mouse.move(at.x, at.y);
  const facts = await page.evaluate(() => ({
    hacked: window.hacked, scripts: document.scripts.length, images: document.images.length,
    bold: document.querySelectorAll('#search-list b, #search-list i, #chips i, #chips b').length,
    names: [...document.querySelectorAll('#search-list .where')].map((e) => e.textContent),
  }));
  assert.equal(facts.hacked, undefined);
  assert.equal(facts.scripts, 1);
  assert.equal(facts.bold, 0);
  assert.ok(facts.names.some((name) => name.includes('<img src=x onerror="window.hacked=1">')));
  assert.ok(facts.names.every((name) => !/[\u0000-\u001f\u202a-\u202e\u2066-\u2069]/.test(name)));
  page.problems = page.problems.filter((text) => !/ERR_FAILED/.test(text));
  await close(page);
});

test('only what is named like a picture is linked, and its bytes are escaped once', async () => {
  const names = ['work.html', 'a.PNG', 'a%FF.png', 'a%25FF.png', '100%.jpg', 'b.svg/x', 'c.jpeg', 'png'];
  const hrefs = [null, 'a.PNG', 'a%FF.png', 'a%25FF.png', '100%25.jpg', null, 'c.jpeg', null];
  const works = grid(4, 2).map((work, i) => ({ ...work, path: names[i] }));
  const page = await open(output(works, { cols: 4, rows: 2, link: 'https://example.invalid/o/{path}' }).url);
  await page.route('https://example.invalid/**', (route) => route.abort());
  await settled(page);
  for (const [i, { id }] of works.entries()) {
    await page.evaluate((id) => window.mosaicd.app.open(id), id);
    const href = await page.getAttribute('#card-link', 'href');
    assert.equal(href, hrefs[i] && `https://example.invalid/o/${hrefs[i]}`);
  }
  page.problems = page.problems.filter((text) => !/ERR_FAILED/.test(text));
  await close(page);
});

test('a link pattern that is no web address is ignored', async () => {
  const page = await open(output(grid(4, 2), { cols: 4, rows: 2, link: 'javascript:alert(1)//{path}' }).url);
  await settled(page);
  await page.evaluate(() => window.mosaicd.app.open(100));
  assert.equal(await page.getAttribute('#card-link', 'href'), null);
  await close(page);
});

test('chips dim what is not of a folder or not new', async () => {
  const page = await open(output().url);
  await settled(page);
  assert.deepEqual(await page.$$eval('.chip', (chips) => chips.map((chip) => chip.textContent)),
    ['New this week 5', 'evens & odds 48', 'spheres 48']);
  await page.click('.chip.folder >> nth=1');
  await page.mouse.move(2, 400);
  await page.waitForTimeout(500);
  assert.ok(near(await pixel(page, await centreOf(page, 150)), colourOf(150)), 'spheres stay');
  assert.ok(!near(await pixel(page, await centreOf(page, 151)), colourOf(151)), 'the others fade');
  await page.keyboard.press('Escape');
  await page.waitForTimeout(500);
  assert.ok(near(await pixel(page, await centreOf(page, 151)), colourOf(151)));
  await page.keyboard.press('n');
  await page.waitForTimeout(500);
  assert.equal(await page.getAttribute('.chip.fresh', 'aria-pressed'), 'true');
  assert.ok(near(await pixel(page, await centreOf(page, 104)), colourOf(104)));
  assert.ok(!near(await pixel(page, await centreOf(page, 105)), colourOf(105)));
  await close(page);
});

test('regions are named from afar, on and off by a key, and never from nonsense', async () => {
  const regions = [{ name: 'spheres', col: 6, row: 4, radius: 3, works: 40 }, { name: 'hidden below', col: 6, row: 4.1, radius: 3, works: 9 },
    null, { name: 7 }, { name: 'nowhere', col: 'x', row: 1, radius: 9 }, { name: '<b>\u202e', col: null, row: 0, radius: 1 }];
  const out = output(null);
  out.write(grid(12, 8), { change: { regions } });
  const page = await open(out.url, { viewport: { width: 400, height: 800 } });
  await settled(page);
  /** Pixels in the colour of names around a place of the mosaic. */
  const bright = () => page.evaluate(async () => {
    const { app } = window.mosaicd;
    app.requestFrame();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const at = app.camera.toScreen(6, 4);
    const { data } = app.canvas.getContext('2d').getImageData(Math.round(at.x - 60), Math.round(at.y - 12), 120, 24);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += data[i] > 250 && data[i + 1] > 248 && data[i + 2] > 240;
    return count;
  });
  const before = await bright();
  await page.keyboard.press('r');
  const off = await bright();
  await page.keyboard.press('r');
  assert.ok(before > off + 60, `${before} bright pixels with names, ${off} without`);
  assert.ok(await bright() > off + 60, 'and on again');
  assert.deepEqual(await page.evaluate(() => window.mosaicd.app.model.regions.map((region) => region.label)), ['Spheres', 'Hidden below']);
  await page.evaluate(() => { const { app } = window.mosaicd; app.flyTo(app.model.works[5], 300, 1); });
  await settled(page);
  assert.ok(await page.evaluate(() => window.mosaicd.app.camera.scale) > 72, 'so near that no name is drawn');
  await close(page);
});

test('words stand below the name of a region that has room for them, and nothing in them is obeyed', async () => {
  const HOSTILE_WORDS = ['<img src=x onerror="window.hacked=1">', 'right\u202eto\u2066left'];
  const words = [['storm', 'lighthouse'], 'no list', [7, null, ...HOSTILE_WORDS], ['too small']];
  const regions = words.map((list, i) => ({ name: `region ${i}`, words: list, col: 3 + 6 * (i % 2), row: 2 + 4 * (i >> 1), radius: i === 3 ? 1 : 3, works: 40 - i, seen: true }));
  const out = output(null);
  out.write(grid(12, 8), { change: { regions } });
  const page = await open(out.url, { viewport: { width: 500, height: 800 } });
  await settled(page);
  /** What is written on the canvas in one frame. */
  const written = () => page.evaluate(async () => {
    const { app } = window.mosaicd;
    const context = app.canvas.getContext('2d');
    const texts = [];
    context.fillText = (text, x, y) => { texts.push({ text: text.replace(/[\u2068\u2069]/g, ''), y }); CanvasRenderingContext2D.prototype.fillText.call(context, text, x, y); };
    app.requestFrame();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    delete context.fillText;
    return texts;
  });
  const texts = await written();
  const at = (text) => texts.find((line) => line.text === text);
  assert.ok(at('Region 0') && at('storm · lighthouse'), JSON.stringify(texts));
  assert.ok(at('storm · lighthouse').y > at('Region 0').y, 'below the name');
  assert.ok(at('Region 1') && at('Region 2') && !at('too small'), JSON.stringify(texts));
  assert.deepEqual(await page.evaluate(() => window.mosaicd.app.model.regions.map((region) => region.words)),
    [['storm', 'lighthouse'], [], ['<img src=x onerror="window.hacked=1">'], ['too small']]);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await page.keyboard.press('r');
  assert.deepEqual(await written(), [], 'off with the names');
  await close(page);
});

test('reduced motion turns flights into cuts', async () => {
  const page = await open(output().url, { reducedMotion: 'reduce' });
  await settled(page);
  const moving = await page.evaluate(() => {
    const { app } = window.mosaicd;
    app.flyTo(app.model.works[90]);
    return app.camera.moving();
  });
  assert.equal(moving, false);
  await close(page);
});

test('a finger pinches, drags and taps; the card is a sheet', async () => {
  const page = await open(output().url, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 3 });
  await settled(page);
  const client = await page.context().newCDPSession(page);
  const touch = (type, points) => client.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const before = await page.evaluate(() => window.mosaicd.app.camera.scale);
  await touch('touchStart', [[150, 400], [240, 400]]);
  for (let i = 1; i <= 10; i += 1) await touch('touchMove', [[150 - i * 8, 400], [240 + i * 8, 400]]);
  await touch('touchEnd', []);
  await settled(page);
  assert.ok(await page.evaluate(() => window.mosaicd.app.camera.scale) > before * 2);
  assert.equal(await page.isVisible('#card'), false);
  const scrolled = await page.evaluate(() => [visualViewport.scale, scrollY]);
  assert.deepEqual(scrolled, [1, 0], 'the page itself does not zoom');
  await page.touchscreen.tap(195, 420);
  await page.waitForSelector('#card:not([hidden])');
  await settled(page);
  await page.waitForTimeout(400); // The sheet slides in.
  const box = await page.locator('#card').boundingBox();
  assert.ok(box.x === 0 && box.width === 390 && Math.abs(box.y + box.height - 844) < 2, JSON.stringify(box));
  await close(page);
});

test('the large view shows the open work, leads on by arrows, and Escape leads back to its card', async () => {
  const out = output();
  const page = await open(out.url);
  await settled(page);
  await click(page, 120);
  await page.click('#card-picture');
  assert.equal(await page.evaluate(() => document.getElementById('large').open), true);
  assert.match(await page.textContent('#large-name'), /work-020/);
  await page.keyboard.press('ArrowRight');
  assert.match(await page.textContent('#large-name'), /work-021/);
  assert.equal(await page.evaluate(() => window.mosaicd.app.card.id), 121, 'the card follows');
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.getElementById('large').open), false);
  assert.equal(await page.evaluate(() => window.mosaicd.app.card.id), 121, 'the card stays');
  await page.keyboard.press('l');
  assert.equal(await page.evaluate(() => document.getElementById('large').open), true);
  await settled(page);
  const seen = await page.evaluate(() => {
    const canvas = document.getElementById('large-crop');
    return [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data.slice(0, 3)];
  });
  assert.ok(near(seen, colourOf(121)), `${seen}`);
  await close(page);
});

test('a slow machine draws coarser while moving, and in full at rest', async () => {
  const page = await open(output().url, { deviceScaleFactor: 2 });
  await settled(page);
  const widths = await page.evaluate(async () => {
    const { app } = window.mosaicd;
    const detail = window.mosaicd.createDetail();
    const judged = [];
    judged.push(detail.share(2, true, 0));
    for (let i = 0; i < 6; i += 1) detail.measured(16, i);
    judged.push(detail.share(2, true, 10));
    for (let i = 0; i < 6; i += 1) detail.measured(60, 10 + i);
    judged.push(detail.share(2, true, 20), detail.share(2, false, 20), detail.share(1, true, 20), detail.share(2, true, 60000));
    const full = app.canvas.width;
    // Every frame of this glide is late, so the next one is drawn coarser.
    const widths = [];
    const late = (until) => { while (performance.now() < until); };
    const watch = () => { widths.push(app.canvas.width); late(performance.now() + 50); if (app.camera.moving()) requestAnimationFrame(watch); };
    const there = (index) => new Promise((resolve) => {
      app.flyTo(app.model.works[index], 300, 3);
      requestAnimationFrame(watch);
      const wait = () => { if (app.camera.moving()) setTimeout(wait, 50); else setTimeout(resolve, 400); };
      wait();
    });
    await there(5);
    await there(90);
    return { judged, full, least: Math.min(...widths), rest: app.canvas.width };
  });
  assert.deepEqual(widths.judged, [1, 1, 0.5, 1, 1, 1]);
  assert.deepEqual([widths.full, widths.least, widths.rest], [2400, 1200, 2400]);
  await close(page);
});
