// Measures frame times of the viewer in headless Chromium: how long each frame's script takes, and how far frames lie
// apart, during a zoom, a drag and a flight.
//
//   node tests/viewer/frames.mjs http://127.0.0.1:8000/ [--dpr 2] [--arrive]
//
// `--arrive` asks the server of `tests/bench/generated.mjs` for one more work, and measures the frames until it is shown.
import { launch } from './browser.mjs';

const url = process.argv[2];
const dpr = Number(process.argv[process.argv.indexOf('--dpr') + 1]) || 1;
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 }, deviceScaleFactor: dpr });
const started = Date.now();
await page.goto(url);
await page.waitForFunction(() => window.mosaicd.app && window.mosaicd.app.model);
console.log(`first generation indexed after ${Date.now() - started} ms`);
await page.waitForTimeout(3000);

const percentile = (list, p) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * p))];

async function measure(name, act) {
  await page.evaluate(() => {
    const { app } = window.mosaicd;
    app.frameTimes.length = 0;
    window.gaps = [];
    let last = performance.now();
    window.watching = true;
    const tick = (now) => { window.gaps.push(now - last); last = now; if (window.watching) requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
  });
  await act();
  const { frames, gaps } = await page.evaluate(() => { window.watching = false; return { frames: [...window.mosaicd.app.frameTimes], gaps: window.gaps.slice(2) }; });
  const row = (list) => [0.5, 0.95, 1].map((p) => percentile(list, p)?.toFixed(1)).join(' / ');
  console.log(`${name.padEnd(22)} ${String(frames.length).padStart(4)} frames   script p50/p95/max ${row(frames)} ms   gap ${row(gaps)} ms`);
}

await page.mouse.move(960, 540);
await measure('wheel zoom in', async () => { for (let i = 0; i < 24; i += 1) { await page.mouse.wheel(0, -60); await page.waitForTimeout(50); } await page.waitForTimeout(600); });
await measure('drag and flick', async () => {
  for (let n = 0; n < 3; n += 1) {
    await page.mouse.move(1300, 700);
    await page.mouse.down();
    for (let i = 0; i < 40; i += 1) await page.mouse.move(1300 - i * 20, 700 - i * 8);
    await page.mouse.up();
    await page.waitForTimeout(700);
  }
});
await measure('wheel zoom out', async () => { for (let i = 0; i < 26; i += 1) { await page.mouse.wheel(0, 60); await page.waitForTimeout(50); } await page.waitForTimeout(600); });
await measure('flight across', async () => {
  await page.evaluate(() => { const { app } = window.mosaicd; app.flyTo(app.model.works[5]); });
  await page.waitForTimeout(1800);
  await page.evaluate(() => { const { app } = window.mosaicd; app.flyTo(app.model.works[app.model.works.length - 5]); });
  await page.waitForTimeout(1800);
});
await measure('hover at the overview', async () => {
  await page.evaluate(() => window.mosaicd.app.home());
  await page.waitForTimeout(1500);
  for (let i = 0; i < 100; i += 1) await page.mouse.move(500 + i * 9, 300 + i * 4);
});
if (process.argv.includes('--arrive')) {
  await page.evaluate(() => window.mosaicd.app.home());
  await page.waitForTimeout(1500);
  for (let i = 0; i < 5; i += 1) {
    let shown;
    await measure('a work arrives', async () => {
      shown = await page.evaluate(async () => {
        const { app } = window.mosaicd;
        await fetch('arrive');
        const [before, started] = [app.model.works.length, performance.now()];
        app.source.poll();
        while (app.model.works.length === before || app.generations.waiting()) await new Promise(requestAnimationFrame);
        return performance.now() - started;
      });
      await page.waitForTimeout(1500);
    });
    console.log(`  shown ${shown.toFixed(0)} ms after it was asked for, heap ${(await page.evaluate(() => performance.memory.usedJSHeapSize) / 1e6).toFixed(0)} MB`);
  }
}
console.log(await page.evaluate(() => {
  const { app, searchWorks } = window.mosaicd;
  const time = (f) => { const t = performance.now(); f(); return (performance.now() - t).toFixed(1); };
  const text = JSON.stringify(app.model.manifest);
  return `parse ${(text.length / 1e6).toFixed(1)} MB ${time(() => JSON.parse(text))} ms, index ${time(() => window.mosaicd.createModel(app.model.manifest))} ms, `
    + `first search ${time(() => searchWorks(app.model, 'velvet', 40))} ms, next ${time(() => searchWorks(app.model, 'velvet w', 40))} ms, filter ${time(() => app.toggleFresh())} ms`;
}));
await browser.close();
