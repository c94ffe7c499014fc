//! The root of a growing Merkle tree (RFC 6962, section 2.1), in the memory of one hash a level.
//!
//! ct-merkle's own tree keeps every leaf; a log of years does not fit. Its types and its tree are what this one is
//! tested against.

use ct_merkle::RootHash;
use sha2_of_ct_merkle::Sha256;

use crate::text::sha256;

/// Before the bytes of a leaf, and before two hashes: so that neither can be taken for the other.
const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The right edge of a tree: the roots of its complete subtrees, the largest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frontier {
    subtrees: Vec<[u8; 32]>,
    leaves: u64,
}

impl Frontier {
    /// Appends a leaf.
    pub(crate) fn push(&mut self, leaf: &[u8]) {
        let mut hash = sha256(&[&[LEAF], leaf]);
        // as many complete subtrees end here as the count has ones at its end
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = sha256(&[&[NODE], &left, &hash]);
            }
        }
        self.subtrees.push(hash);
        self.leaves = self.leaves.saturating_add(1);
    }

    /// How many leaves there are.
    pub(crate) const fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root and the number of leaves.
    pub(crate) fn root(&self) -> RootHash<Sha256> {
        let mut subtrees = self.subtrees.iter().rev();
        let hash = subtrees.next().map_or_else(
            || sha256(&[]),
            |smallest| subtrees.fold(*smallest, |right, left| sha256(&[&[NODE], left, &right])),
        );
        RootHash::new(hash.into(), self.leaves)
    }
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    use super::*;

    #[test]
    fn every_root_is_that_of_the_reference_tree() {
        let mut ours = Frontier::default();
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for leaf in 0_u32..300 {
            assert_eq!(ours.root(), theirs.root(), "{leaf} leaves");
            ours.push(&leaf.to_le_bytes());
            theirs.push(leaf.to_le_bytes().to_vec());
        }
    }
}
