//! UMAP's optimisation: stochastic gradient descent over the fuzzy graph, seeded, the same bits on any number of threads.
//!
//! Source: `optimize_layout_euclidean` of umap-learn 0.5: an edge of weight `w` is visited every `1 / w` epochs, pulls
//! both its ends together, and pushes its head away from five random points; each gradient is clipped at 4; the
//! learning rate falls linearly from 1 to 0. Each edge is listed from both ends, so here a visit moves its head alone,
//! twice as far. Added: each point's moves are scaled by its mobility.
//!
//! An epoch is a row of sweeps. A sweep moves one of 16 random shares of the points, all seen from where everything was
//! before the sweep; so its points may be computed in any order, while hardly any two neighbours jump at once.

use super::Point;
use super::curve::Gradients;
use super::fuzzy::Graph;
use super::random::Random;
use rayon::prelude::*;

/// Random points that a visited edge pushes its head away from.
const NEGATIVE_SAMPLES: usize = 5;

/// Largest move along one axis at learning rate 1.
const CLIP: f32 = 4.0;

/// Shares of the points that move in turn.
const SWEEPS: usize = 16;

/// Points of at most this mobility move in one of `TURNS` epochs only. They stand for the bulk of a large map around an
/// arrival; measured over hundreds of arrivals, a fifth of their moves keeps the map as good and stiller.
const SLOW: f32 = 0.05;
const TURNS: usize = 5;

/// Fewest points worth handing to another thread.
const CHUNK: usize = 128;

/// Phases are fractions of a visit in units of 2⁻³¹; the bit above them says that a visit is due.
const VISIT: u32 = 1 << 31;

/// How long and how freely the points move.
pub(super) struct Descent<'a> {
    pub(super) epochs: usize,
    pub(super) seed: u64,
    pub(super) gradients: &'a Gradients,
    /// One factor a point; all 1 if absent.
    pub(super) mobility: Option<&'a [f32]>,
}

/// Some of a sweep's points with their edges.
struct Chunk {
    heads: Vec<Head>,
    tails: Vec<u32>,
    /// How far each edge is on its way to the next visit, and how much nearer an epoch brings it.
    phases: Vec<u32>,
    paces: Vec<u32>,
    /// The tails due in this epoch, of one head at a time.
    due: Vec<u32>,
    /// Where the heads go.
    moved: Vec<Point>,
}

struct Head {
    point: u32,
    edges_end: usize,
    mobility: f32,
}

/// Moves the heads of `graph` downhill in `points`.
pub(super) fn descend(points: &mut [Point], graph: &Graph, descent: &Descent<'_>) {
    let mut random = Random::new(descent.seed, 0x5D);
    let mut order: Vec<usize> = (0..graph.heads.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, random.two_below(i as u32 + 1)[0] as usize);
    }
    let is_slow = |&row: &usize| descent.mobility_of(graph.heads[row]) <= SLOW;
    let (slow, quick): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_slow);
    let mut quick = sweeps(&quick, graph, descent);
    let turn = slow.len().div_ceil(TURNS).max(1);
    let mut slow: Vec<Vec<Vec<Chunk>>> = slow
        .chunks(turn)
        .map(|rows| sweeps(rows, graph, descent))
        .collect();
    // Within the pool a sweep's chunks are shared out without waking anybody up.
    rayon::scope(|_| {
        for epoch in 0..descent.epochs {
            let rate = 1.0 - epoch as f32 / descent.epochs as f32;
            let seed = Random::new(descent.seed, epoch as u64).next();
            let turn = slow.get_mut(epoch % TURNS).into_iter().flatten();
            for chunks in quick.iter_mut().chain(turn) {
                sweep(points, chunks, descent.gradients, rate, seed);
            }
        }
    });
}

/// Shares `rows` of the graph, which are in random order, out to sweeps.
fn sweeps(rows: &[usize], graph: &Graph, descent: &Descent<'_>) -> Vec<Vec<Chunk>> {
    let share = rows.len().div_ceil(SWEEPS).max(1);
    rows.chunks(share)
        .map(|rows| {
            rows.chunks(share.div_ceil(4).max(CHUNK))
                .map(|rows| Chunk::new(rows, graph, descent))
                .collect()
        })
        .collect()
}

fn sweep(points: &mut [Point], chunks: &mut [Chunk], gradients: &Gradients, rate: f32, seed: u64) {
    if let [chunk] = chunks {
        chunk.advance(points, gradients, rate, seed);
    } else {
        let advance = |chunk: &mut Chunk| chunk.advance(points, gradients, rate, seed);
        chunks.par_iter_mut().for_each(advance);
    }
    for chunk in chunks.iter() {
        for (head, &to) in chunk.heads.iter().zip(&chunk.moved) {
            points[head.point as usize] = to;
        }
    }
}

impl Descent<'_> {
    fn mobility_of(&self, point: u32) -> f32 {
        self.mobility.map_or(1.0, |m| m[point as usize])
    }
}

impl Chunk {
    fn new(rows: &[usize], graph: &Graph, descent: &Descent<'_>) -> Self {
        let mut chunk = Self {
            heads: Vec::with_capacity(rows.len()),
            tails: Vec::new(),
            phases: Vec::new(),
            paces: Vec::new(),
            due: Vec::new(),
            moved: vec![[0.0; 2]; rows.len()],
        };
        let mut most = 0;
        for &row in rows {
            let before = chunk.tails.len();
            for edge in graph.offsets[row]..graph.offsets[row + 1] {
                let weight = graph.weights[edge];
                // An edge too weak to be visited once does nothing, as in umap-learn.
                if weight * descent.epochs as f32 >= 1.0 {
                    chunk.tails.push(graph.tails[edge]);
                    chunk
                        .paces
                        .push(((weight * VISIT as f32) as u32).min(VISIT));
                }
            }
            most = most.max(chunk.tails.len() - before);
            let point = graph.heads[row];
            chunk.heads.push(Head {
                point,
                edges_end: chunk.tails.len(),
                mobility: descent.mobility_of(point),
            });
        }
        chunk.phases = vec![0; chunk.tails.len()];
        chunk.due = vec![0; most];
        chunk
    }

    /// Computes where the heads go in one epoch. Reads `points` and does not change them.
    fn advance(&mut self, points: &[Point], gradients: &Gradients, rate: f32, seed: u64) {
        let mut start = 0;
        for (head, moved) in self.heads.iter().zip(&mut self.moved) {
            let edges = start..head.edges_end;
            start = head.edges_end;
            // Whether an edge is due is unpredictable, so it is counted, not branched on.
            let mut due = 0;
            for ((phase, pace), tail) in self.phases[edges.clone()]
                .iter_mut()
                .zip(&self.paces[edges.clone()])
                .zip(&self.tails[edges])
            {
                let next = *phase + pace;
                *phase = next & (VISIT - 1);
                self.due[due] = *tail;
                due += (next >> 31) as usize;
            }
            let mut random = Random::new(seed, u64::from(head.point));
            let mut p = points[head.point as usize];
            let step = rate * head.mobility;
            for &tail in &self.due[..due] {
                let g = visit(points, gradients, head.point, p, tail, &mut random);
                p = [p[0] + g[0] * step, p[1] + g[1] * step];
            }
            *moved = p;
        }
    }
}

/// What one visit adds to the head at `p`, at full rate and mobility.
#[inline]
fn visit(
    points: &[Point],
    gradients: &Gradients,
    head: u32,
    p: Point,
    tail: u32,
    random: &mut Random,
) -> Point {
    let n = points.len() as u32;
    let q = points[tail as usize];
    let (dx, dy) = (p[0] - q[0], p[1] - q[1]);
    let pull = gradients.attraction(dx * dx + dy * dy);
    let mut sum = [2.0 * clip(pull * dx), 2.0 * clip(pull * dy)];
    let [a, b] = random.two_below(n);
    let [c, d] = random.two_below(n);
    let [e, _] = random.two_below(n);
    let samples: [u32; NEGATIVE_SAMPLES] = [a, b, c, d, e];
    for other in samples {
        // The head itself is at distance zero or nearly so and is pushed by nothing.
        let q = points[other as usize];
        let (dx, dy) = (p[0] - q[0], p[1] - q[1]);
        let push = gradients.repulsion(dx * dx + dy * dy);
        let push = if other == head { 0.0 } else { push };
        sum = [sum[0] + clip(push * dx), sum[1] + clip(push * dy)];
    }
    sum
}

#[inline]
fn clip(gradient: f32) -> f32 {
    gradient.clamp(-CLIP, CLIP)
}

#[cfg(test)]
mod tests {
    use super::super::curve::Curve;
    use super::*;

    fn ring(n: u32) -> Graph {
        Graph {
            heads: (0..n).collect(),
            offsets: (0..=n as usize).map(|i| 2 * i).collect(),
            tails: (0..n)
                .flat_map(|i| [(i + n - 1) % n, (i + 1) % n])
                .collect(),
            weights: vec![1.0; 2 * n as usize],
        }
    }

    fn scattered(n: usize) -> Vec<Point> {
        let mut random = Random::new(1, 1);
        (0..n)
            .map(|_| [random.signed() as f32 * 8.0, random.signed() as f32 * 8.0])
            .collect()
    }

    #[test]
    fn neighbours_come_together_and_strangers_apart() {
        let gradients = Gradients::new(Curve::fit(0.1));
        let mut points = scattered(60);
        let descent = Descent {
            epochs: 300,
            seed: 9,
            gradients: &gradients,
            mobility: None,
        };
        descend(&mut points, &ring(60), &descent);
        let apart =
            |i: usize, j: usize| (points[i][0] - points[j][0]).hypot(points[i][1] - points[j][1]);
        let near: f32 = (0..60).map(|i| apart(i, (i + 1) % 60)).sum::<f32>() / 60.0;
        let far: f32 = (0..60).map(|i| apart(i, (i + 30) % 60)).sum::<f32>() / 60.0;
        assert!(near * 3.0 < far, "near {near}, far {far}");
    }

    #[test]
    fn sweeps_shared_by_threads_end_in_the_same_bits() {
        let gradients = Gradients::new(Curve::fit(0.1));
        // Enough points that each sweep has several chunks; half of them slow.
        let n = 8 * SWEEPS * CHUNK;
        let mobility: Vec<f32> = (0..n).map(|i| [1.0, 0.02][i % 2]).collect();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a thread pool");
            let mut points = scattered(n);
            let descent = Descent {
                epochs: 10,
                seed: 9,
                gradients: &gradients,
                mobility: Some(&mobility),
            };
            pool.install(|| descend(&mut points, &ring(n as u32), &descent));
            points
        };
        let one = run(1);
        assert!(one.iter().zip(scattered(n)).all(|(p, q)| *p != q));
        for threads in [2, 3, 4] {
            assert!(run(threads) == one, "{threads} threads");
        }
    }

    #[test]
    fn only_heads_move_and_only_with_mobility() {
        let gradients = Gradients::new(Curve::fit(0.1));
        let mut points = scattered(20);
        let before = points.clone();
        let mut graph = ring(20);
        graph.heads.truncate(10);
        graph.offsets.truncate(11);
        let mut mobility = vec![1.0; 20];
        mobility[3] = 0.0;
        let descent = Descent {
            epochs: 20,
            seed: 9,
            gradients: &gradients,
            mobility: Some(&mobility),
        };
        descend(&mut points, &graph, &descent);
        for i in 0..20 {
            assert_eq!(points[i] != before[i], i < 10 && i != 3, "point {i}");
        }
    }
}
