//! UMAP's optimisation: stochastic gradient descent over the fuzzy graph's edges, seeded and in one fixed order.
//!
//! Source: `optimize_layout_euclidean` of umap-learn 0.5: an edge of weight `w` is visited every `1 / w` epochs, pulls
//! both its ends together, and pushes its head away from five random points; each gradient is clipped at 4; the
//! learning rate falls linearly from 1 to 0. Added here: each point's moves are scaled by its mobility.

use super::Point;
use super::curve::Gradients;
use super::fuzzy::Edge;
use super::random::Random;

/// Random points that a visited edge pushes its head away from.
const NEGATIVE_SAMPLES: usize = 5;

/// Largest move along one axis at learning rate 1.
const CLIP: f32 = 4.0;

/// How long and how freely the points move.
pub(super) struct Descent<'a> {
    pub(super) epochs: usize,
    pub(super) seed: u64,
    pub(super) gradients: &'a Gradients,
    /// One factor a point; all 1 if absent.
    pub(super) mobility: Option<&'a [f32]>,
}

struct Visit {
    head: u32,
    tail: u32,
    period: f32,
    next: f32,
}

/// Moves `points` downhill. `edges` as [`super::fuzzy::graph`] gives them.
pub(super) fn descend(points: &mut [Point], edges: &[Edge], descent: &Descent<'_>) {
    let n = points.len() as u32;
    let gradients = descent.gradients;
    let mobility = |i: u32| descent.mobility.map_or(1.0, |m| m[i as usize]);
    let mut visits: Vec<Visit> = edges
        .iter()
        // An edge too weak to be visited once does nothing, as in umap-learn.
        .filter(|e| e.weight * descent.epochs as f32 >= 1.0)
        .filter(|e| mobility(e.head) > 0.0 || mobility(e.tail) > 0.0)
        .map(|e| Visit {
            head: e.head,
            tail: e.tail,
            period: 1.0 / e.weight,
            next: 1.0 / e.weight,
        })
        .collect();
    let mut random = Random::new(descent.seed, 0x5D);
    for epoch in 0..descent.epochs {
        let rate = 1.0 - epoch as f32 / descent.epochs as f32;
        for visit in &mut visits {
            if visit.next > epoch as f32 {
                continue;
            }
            visit.next += visit.period;
            let (head, tail) = (visit.head as usize, visit.tail as usize);
            let mut p = points[head];
            let q = points[tail];
            let step = rate * mobility(visit.head);
            let (dx, dy) = (p[0] - q[0], p[1] - q[1]);
            let pull = gradients.attraction(dx * dx + dy * dy);
            let (gx, gy) = (clip(pull * dx), clip(pull * dy));
            let tail_step = rate * mobility(visit.tail);
            points[tail] = [q[0] - gx * tail_step, q[1] - gy * tail_step];
            p[0] += gx * step;
            p[1] += gy * step;
            if step > 0.0 {
                let [a, b] = random.two_below(n);
                let [c, d] = random.two_below(n);
                let [e, _] = random.two_below(n);
                let samples: [u32; NEGATIVE_SAMPLES] = [a, b, c, d, e];
                for other in samples {
                    // The head itself is at distance zero or nearly so and is pushed by (nearly) nothing.
                    let q = points[other as usize];
                    let (dx, dy) = (p[0] - q[0], p[1] - q[1]);
                    let push = if other as usize == head {
                        0.0
                    } else {
                        gradients.repulsion(dx * dx + dy * dy)
                    };
                    p[0] += clip(push * dx) * step;
                    p[1] += clip(push * dy) * step;
                }
            }
            points[head] = p;
        }
    }
}

#[inline]
fn clip(gradient: f32) -> f32 {
    gradient.clamp(-CLIP, CLIP)
}

#[cfg(test)]
mod tests {
    use super::super::curve::Curve;
    use super::*;

    fn ring(n: u32) -> Vec<Edge> {
        let mut edges: Vec<Edge> = (0..n)
            .flat_map(|i| [(i, (i + 1) % n), ((i + 1) % n, i)])
            .map(|(head, tail)| Edge {
                head,
                tail,
                weight: 1.0,
            })
            .collect();
        edges.sort_by_key(|e| (e.head, e.tail));
        edges
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
    fn a_point_without_mobility_stays() {
        let gradients = Gradients::new(Curve::fit(0.1));
        let mut points = scattered(20);
        let before = points.clone();
        let mut mobility = vec![0.0; 20];
        mobility[3] = 1.0;
        let descent = Descent {
            epochs: 20,
            seed: 9,
            gradients: &gradients,
            mobility: Some(&mobility),
        };
        descend(&mut points, &ring(20), &descent);
        for i in 0..20 {
            assert_eq!(points[i] == before[i], i != 3, "point {i}");
        }
    }
}
