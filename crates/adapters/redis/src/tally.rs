//! Counting votes. Pure.

use std::collections::BTreeMap;

/// What one node said of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vote {
    /// Ours there.
    Ours,
    /// Somebody else's; their value.
    Theirs(Vec<u8>),
    /// Nothing of use.
    Away,
}

/// How an attempt stands when no further vote can change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A majority is ours.
    Ours,
    /// A majority is somebody else's.
    Theirs,
    /// Some are ours and some are not: others may be trying at this moment, and nobody may have a majority.
    Contested,
    /// Too few nodes have answered.
    NoQuorum,
}

/// The votes of one attempt.
#[derive(Debug)]
pub(crate) struct Tally {
    nodes: usize,
    ours: usize,
    away: usize,
    theirs: BTreeMap<usize, Vec<u8>>,
}

impl Tally {
    /// Majorities are of all `nodes`, whether they answer or not: a majority of those in reach is no lock.
    pub(crate) fn of(nodes: usize) -> Self {
        Self { nodes, ours: 0, away: 0, theirs: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, node: usize, vote: Vote) {
        match vote {
            Vote::Ours => self.ours += 1,
            Vote::Theirs(value) => drop(self.theirs.insert(node, value)),
            Vote::Away => self.away += 1,
        }
    }

    fn majority(&self) -> usize {
        self.nodes / 2 + 1
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let (majority, theirs) = (self.majority(), self.theirs.len());
        let open = self.nodes.saturating_sub(self.ours + theirs + self.away);
        if self.ours >= majority {
            Some(Verdict::Ours)
        } else if self.ours + open >= majority {
            None
        } else if self.nodes.saturating_sub(self.away) < majority {
            Some(Verdict::NoQuorum)
        } else if self.ours > 0 {
            Some(if theirs > 0 { Verdict::Contested } else { Verdict::NoQuorum })
        } else if theirs >= majority {
            Some(Verdict::Theirs)
        } else if theirs + open >= majority {
            None
        } else {
            Some(Verdict::NoQuorum)
        }
    }

    /// Whether a majority of nodes has kept the value it had in `earlier`. Whoever has only a minority gives it back
    /// before trying again, so values that stay are a holder's.
    pub(crate) fn settled_since(&self, earlier: &Self) -> bool {
        let same = self.theirs.iter().filter(|&(node, value)| earlier.theirs.get(node) == Some(value));
        same.count() >= self.majority()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(nodes: usize, votes: &str) -> Tally {
        let mut tally = Tally::of(nodes);
        for (node, letter) in votes.chars().enumerate() {
            match letter {
                'o' => tally.add(node, Vote::Ours),
                'x' => tally.add(node, Vote::Away),
                '.' => (),
                other => tally.add(node, Vote::Theirs(vec![other as u8])),
            }
        }
        tally
    }

    #[test]
    fn a_majority_is_of_all_nodes_and_decides_as_soon_as_it_is_certain() {
        use Verdict::{Contested, NoQuorum, Ours, Theirs};
        let table = [
            (0, "", Some(NoQuorum)),
            (1, ".", None),
            (1, "o", Some(Ours)),
            (1, "a", Some(Theirs)),
            (1, "x", Some(NoQuorum)),
            (2, "o.", None),
            (2, "ox", Some(NoQuorum)),
            (2, "oa", Some(Contested)),
            (3, "o..", None),
            (3, "oo.", Some(Ours)),
            (3, "oox", Some(Ours)),
            (3, "oxx", Some(NoQuorum)),
            (3, "ox.", None),
            (3, "aa.", Some(Theirs)),
            (3, "aax", Some(Theirs)),
            (3, "ax.", None),
            (3, "a..", None),
            (3, "axx", Some(NoQuorum)),
            (3, "xx.", Some(NoQuorum)),
            (3, "oab", Some(Contested)),
            (3, "oax", Some(Contested)),
            (3, "oa.", None),
            (5, "ooo..", Some(Ours)),
            (5, "oo...", None),
            (5, "aaa..", Some(Theirs)),
            (5, "oaaa.", Some(Contested)),
            (5, "oaxxx", Some(NoQuorum)),
            (5, "ooxxx", Some(NoQuorum)),
            (5, "aaxx.", None),
        ];
        for (nodes, votes, expected) in table {
            assert_eq!(tally(nodes, votes).verdict(), expected, "{votes} of {nodes}");
        }
    }

    #[test]
    fn only_the_same_values_on_a_majority_have_settled() {
        assert!(tally(3, "oaa").settled_since(&tally(3, "oaa")));
        assert!(tally(3, "aab").settled_since(&tally(3, "oab")));
        assert!(!tally(3, "oac").settled_since(&tally(3, "oab")));
        assert!(!tally(3, "oax").settled_since(&tally(3, "oax")), "one of three is no majority");
        assert!(!tally(3, "aao").settled_since(&tally(3, "oaa")), "each value where it was");
    }
}
