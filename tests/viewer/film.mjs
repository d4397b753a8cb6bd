// Films the page for the README: a few works arrive, and the view glides into one of them.
//
//   node tests/viewer/film.mjs FILM.webp [--works 1000] [--size 512] [--site FOLDER] [--frames FOLDER]
//
// It draws sample works (or takes those of a folder that `mosaicd demo` filled, `--site`, and leaves them alone), runs the
// real daemon on them, and takes one picture a step of a clock of its own, so that a slow machine films as evenly as a
// fast one. Needs `img2webp` (Debian's `webp`), and MOSAICD_BIN or a release build.
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createStage } from './stage.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const BINARY = process.env.MOSAICD_BIN || join(HERE, '../../target/release/mosaicd');
const [film, ...options] = process.argv.slice(2);
const option = (name, otherwise) => (options.includes(name) ? options[options.indexOf(name) + 1] : otherwise);
const STEP_MS = 64;
const QUALITY = 55;
const ARRIVALS = 6;

const root = mkdtempSync(join(tmpdir(), 'mosaicd-film-'));
const frames = option('--frames', join(root, 'frames'));
mkdirSync(frames, { recursive: true });
const [works, size] = [Number(option('--works', '1000')), option('--size', '512')];
const later = join(root, 'later');
const site = option('--site', null);
if (site) cpSync(site, root, { recursive: true });
else execFileSync(BINARY, ['demo', root, '-n', String(works), '--size', size], { stdio: 'ignore' });
execFileSync(BINARY, ['demo', later, '-n', String(ARRIVALS), '--size', size, '--seed', '9'], { stdio: 'ignore' });
const output = join(root, 'output');
const manifest = () => JSON.parse(readFileSync(join(output, 'manifest.json'), 'utf8'));
const daemon = spawn(BINARY, ['run', '--artworks', join(root, 'artworks'), '--output', output, '--state', join(root, 'state')],
  { stdio: 'ignore' });
const stage = await createStage({ fileOf: (path) => join(output, normalize(path)) });
try {
  const context = await stage.browser.newContext({ viewport: { width: 640, height: 480 }, colorScheme: 'dark' });
  const page = await context.newPage();
  await page.clock.install();
  await page.goto(`${stage.base}/`);
  const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  // Loading takes real time, in which the film's clock stands still: a step is a step, however slow the machine is.
  const loaded = async () => {
    const busy = () => page.evaluate(() => {
      const { app } = window.mosaicd;
      if (!app || !app.model || app.model.loading) return true;
      app.tiles.pump();
      const { loading, wanted } = app.tiles.stats();
      return loading + wanted > 0;
    });
    while (await busy()) await wait(20);
  };
  const first = async () => { while (!await page.evaluate(() => window.mosaicd.app?.model?.works.length)) { await page.clock.runFor(20); await wait(20); } };
  let count = 0;
  const shoot = async (steps) => {
    for (let i = 0; i < steps; i += 1) {
      await page.clock.runFor(STEP_MS);
      await loaded();
      await page.screenshot({ path: join(frames, `${String(count).padStart(4, '0')}.png`) });
      count += 1;
    }
  };
  await first();
  await page.evaluate(() => { window.mosaicd.app.names = false; });
  await page.clock.pauseAt(Date.now() + 60_000); // From here on time passes by `runFor` alone.
  await page.clock.runFor(4000);
  await loaded();
  await page.clock.runFor(400);
  await shoot(6);
  for (const name of readdirSync(join(later, 'artworks'))) {
    const target = join(root, 'artworks', `new-${name}`);
    copyFileSync(join(later, 'artworks', name), join(root, 'artworks', `.${name}.part`));
    renameSync(join(root, 'artworks', `.${name}.part`), target);
  }
  const isNew = (work) => work.path.startsWith('new-');
  while (manifest().works.filter(isNew).length < ARRIVALS) await wait(200);
  await page.evaluate(() => window.mosaicd.app.source.poll());
  // The new generation waits for its tiles, and a transition begins when they are here.
  for (let i = 0; i < 500 && !await page.evaluate((n) => window.mosaicd.app.model.works.length === n, works + ARRIVALS); i += 1) {
    await page.clock.runFor(16);
    await wait(20);
    await loaded();
  }
  await shoot(32);
  const { id } = manifest().works.find(isNew);
  await page.evaluate((id) => {
    const { app } = window.mosaicd;
    const work = app.model.works[app.model.byId.get(id)];
    app.camera.fly({ x: work.col + 0.5, y: work.row + 0.5, scale: 190 }, performance.now(), 1.6);
    app.requestFrame();
  }, id);
  await shoot(44);
  await page.evaluate(() => { window.mosaicd.app.camera.flyHome(performance.now()); window.mosaicd.app.requestFrame(); });
  await shoot(30);
  const pictures = readdirSync(frames).sort().map((name) => join(frames, name));
  execFileSync('img2webp', ['-loop', '0', '-lossy', '-q', String(QUALITY), '-m', '4', '-d', String(STEP_MS), ...pictures, '-o', film]);
} finally {
  daemon.kill();
  await stage.end();
  rmSync(root, { recursive: true, force: true });
}
