//! Numbers that are taken, as runs: the next free one is found without a walk over all.

use std::collections::BTreeMap;

/// Runs of numbers by their first, with their last; no two touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken(BTreeMap<u128, u128>);

impl Taken {
    /// Whether a number is taken.
    pub(super) fn has(&self, number: u128) -> bool {
        self.run_of(number).is_some()
    }

    /// Takes a number.
    pub(super) fn insert(&mut self, number: u128) {
        if self.has(number) {
            return;
        }
        let before = number.checked_sub(1).and_then(|before| self.run_of(before));
        let first = before.map_or(number, |(first, _)| first);
        let after = number.checked_add(1).and_then(|after| self.0.remove(&after));
        self.0.insert(first, after.unwrap_or(number));
    }

    /// Gives a number back.
    pub(super) fn remove(&mut self, number: u128) {
        let Some((first, last)) = self.run_of(number) else { return };
        self.0.remove(&first);
        if first < number {
            self.0.insert(first, number - 1);
        }
        if number < last {
            self.0.insert(number + 1, last);
        }
    }

    /// The lowest number from one to another that is free.
    pub(super) fn lowest_free(&self, from: u128, to: u128) -> Option<u128> {
        let lowest = self.run_of(from).map_or(Some(from), |(_, last)| last.checked_add(1))?;
        (lowest <= to).then_some(lowest)
    }

    fn run_of(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.0.range(..=number).next_back()?;
        (number <= *last).then_some((*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_say_of_every_number_what_a_set_says(
            changes in prop::collection::vec((any::<bool>(), 0..24_u128), 0..80),
            from in 0..24_u128,
        ) {
            let (mut runs, mut set) = (Taken::default(), BTreeSet::new());
            for (is_taken, number) in changes {
                match is_taken {
                    true => {
                        runs.insert(number);
                        set.insert(number);
                    }
                    false => {
                        runs.remove(number);
                        set.remove(&number);
                    }
                }
                prop_assert!((0..26).all(|n| runs.has(n) == set.contains(&n)));
                let lowest = (from..24).find(|n| !set.contains(n));
                prop_assert_eq!(runs.lowest_free(from, 23), lowest);
            }
            let touching = runs.0.iter().zip(runs.0.iter().skip(1));
            prop_assert!(touching.into_iter().all(|((_, last), (first, _))| last + 1 < *first));
        }
    }

    #[test]
    fn the_last_number_of_all_can_be_taken_and_given_back() {
        let mut runs = Taken::default();
        runs.insert(u128::MAX);
        assert_eq!(runs.lowest_free(u128::MAX, u128::MAX), None);
        runs.remove(u128::MAX);
        assert_eq!(runs.lowest_free(u128::MAX, u128::MAX), Some(u128::MAX));
    }
}
