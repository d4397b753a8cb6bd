//! What a picture shows and how it looks: a network and the built-in descriptor, embedded together.
//!
//! An embedding is the network's, then the descriptor's, each of length √½, so that both are there for any blend of
//! them: `rebuild::Space` weighs the two by `embed.look`, which then changes without embedding. Where the network's
//! embedding is stored already, it stands in an input in place of the network's own input.

use super::{
    EncodeError, Encoder, ModelId, Preparation,
    builtin::{self, Builtin},
};
use std::{f32::consts::FRAC_1_SQRT_2, mem};

/// A network and the built-in descriptor.
pub struct Blended {
    network: Box<dyn Encoder>,
    descriptor: Builtin,
    model: ModelId,
    /// Whether an embedding can be told from an input of the network, by its length.
    takes_embeddings: bool,
}

impl Blended {
    /// Both together.
    pub fn new(network: Box<dyn Encoder>) -> Self {
        let descriptor = Builtin::new();
        let model = ModelId(format!("{}+{}", network.model(), descriptor.model()));
        let takes_embeddings = match network.preparation() {
            Preparation::Tensor(preprocess) => preprocess.len() != network.dims(),
            _ => false,
        };
        Self {
            network,
            descriptor,
            model,
            takes_embeddings,
        }
    }
}

impl Encoder for Blended {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn name(&self) -> &str {
        self.network.name()
    }

    fn dims(&self) -> usize {
        self.network.dims() + builtin::DIMS
    }

    fn look_dims(&self) -> usize {
        builtin::DIMS
    }

    fn max_batch(&self) -> usize {
        self.network.max_batch()
    }

    fn runs(&self) -> usize {
        self.network.runs()
    }

    fn device(&self) -> &'static str {
        self.network.device()
    }

    fn begins_with(&self) -> Option<&ModelId> {
        self.takes_embeddings.then(|| self.network.model())
    }

    fn preparation(&self) -> Preparation {
        Preparation::Several(vec![
            self.network.preparation(),
            self.descriptor.preparation(),
        ])
    }

    fn remainder(&self) -> Preparation {
        self.descriptor.preparation()
    }

    fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
        let (mut shown, mut looks) = (Vec::new(), Vec::new());
        for (index, input) in inputs.iter().enumerate() {
            let short = EncodeError::WrongInput {
                index,
                wanted: self.dims(),
                found: input.len(),
            };
            let network = input.len().checked_sub(builtin::DIMS).ok_or(short)?;
            shown.push(input[..network].to_vec());
            looks.push(input[network..].to_vec());
        }
        let known = |part: &Vec<f32>| self.takes_embeddings && part.len() == self.network.dims();
        let unknown = (0..shown.len()).filter(|&i| !known(&shown[i]));
        let unknown: Vec<usize> = unknown.collect();
        if !unknown.is_empty() {
            let tensors = unknown.iter().map(|&i| mem::take(&mut shown[i]));
            let made = self.network.encode(&tensors.collect::<Vec<_>>());
            let made = made.map_err(|error| error.of_inputs_at(&unknown))?;
            for (i, part) in unknown.into_iter().zip(made) {
                shown[i] = part;
            }
        }
        let looks = self.descriptor.encode(&looks)?;
        let both = shown.into_iter().zip(looks).map(|(shown, look)| {
            let both = shown.into_iter().chain(look);
            both.map(|value| value * FRAC_1_SQRT_2).collect()
        });
        Ok(both.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::preprocess::Preprocess;

    /// A network whose input is three values, and its embedding the first two of them; it refuses what begins with 9.
    struct Network(ModelId);

    impl Encoder for Network {
        fn model(&self) -> &ModelId {
            &self.0
        }
        fn name(&self) -> &str {
            "network"
        }
        fn dims(&self) -> usize {
            2
        }
        fn max_batch(&self) -> usize {
            8
        }
        fn preparation(&self) -> Preparation {
            Preparation::Tensor(Preprocess::clip(1))
        }
        fn encode(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EncodeError> {
            match inputs.iter().position(|input| input[0] == 9.0) {
                Some(index) => Err(EncodeError::NotFinite { index }),
                None => Ok(inputs.iter().map(|input| input[..2].to_vec()).collect()),
            }
        }
    }

    fn input(network: &[f32]) -> Vec<f32> {
        let mut look = vec![0.0; builtin::DIMS];
        look[3] = 1.0;
        [network, &look].concat()
    }

    #[test]
    fn a_known_embedding_stands_for_the_network_s_input() {
        let blended = Blended::new(Box::new(Network(ModelId("net".into()))));
        assert_eq!(blended.begins_with(), Some(&ModelId("net".into())));
        let inputs = [input(&[9.0, 0.0]), input(&[0.6, 0.8, 5.0])];
        let both = blended.encode(&inputs).expect("the first one is known");
        let lengths = both.iter().map(|row| row.len());
        assert!(lengths.eq([blended.dims(), blended.dims()]));
        for (row, shown) in both.iter().zip([[9.0, 0.0], [0.6, 0.8]]) {
            assert_eq!(row[..2], shown.map(|value: f32| value * FRAC_1_SQRT_2));
        }
        assert!(both.iter().all(|row| row[5] == FRAC_1_SQRT_2));
    }

    #[test]
    fn the_input_at_fault_is_named_by_its_place() {
        let blended = Blended::new(Box::new(Network(ModelId("net".into()))));
        let bad = |inputs: &[Vec<f32>]| blended.encode(inputs).err().and_then(|e| e.bad_input());
        let good = input(&[0.6, 0.8, 0.0]);
        let known = input(&[0.6, 0.8]);
        let refused = input(&[9.0, 0.0, 0.0]);
        assert_eq!(bad(&[known.clone(), good.clone(), refused]), Some(2));
        assert_eq!(bad(&[known, good, vec![1.0]]), Some(2));
    }
}
