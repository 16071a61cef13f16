//! Machines whose clocks are wrong, as the processes of each have learnt from the server: the next process there need
//! not learn it again by a renewal that nobody needs.
#![forbid(unsafe_code)]

/// More than these are not remembered.
const MOST: usize = 16;

/// What the server's clock shows when a machine's monotonic clock shows 0, machine by machine, those told of last at the
/// end. The monotonic clock, since the other may be set at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WrongClocks(Vec<(String, i64)>);

impl WrongClocks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is known of `machine`, in milliseconds.
    pub(crate) fn base_ms(&self, machine: &str) -> Option<i64> {
        self.0.iter().find(|(known, _)| known == machine).map(|(_, base_ms)| *base_ms)
    }

    /// The same with what is known of `machine` now.
    pub(crate) fn with(mut self, machine: &str, base_ms: i64) -> Self {
        self.0.retain(|(known, _)| known != machine);
        self.0.push((machine.to_owned(), base_ms));
        self.0.drain(..self.0.len().saturating_sub(MOST));
        self
    }

    /// `MACHINE=MILLISECONDS`, separated by spaces.
    pub(crate) fn to_text(&self) -> String {
        self.0.iter().map(|(machine, base_ms)| format!("{machine}={base_ms}")).collect::<Vec<_>>().join(" ")
    }

    /// What `to_text` wrote; what is damaged is left out.
    pub(crate) fn from_text(text: &str) -> Self {
        let one = |part: &str| {
            let (machine, base_ms) = part.rsplit_once('=')?;
            Some((machine.to_owned(), base_ms.parse().ok()?))
        };
        WrongClocks(text.split(' ').filter_map(one).take(MOST).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered() {
        let many = (0..40).fold(WrongClocks::default(), |clocks, at| clocks.with(&format!("m{at}"), at));
        let known: Vec<i64> = (0..40).filter_map(|at| many.base_ms(&format!("m{at}"))).collect();
        assert_eq!(known, (24..40).collect::<Vec<_>>());
        let again = many.clone().with("m24", -1).with("m40", 40);
        assert_eq!((again.base_ms("m24"), again.base_ms("m25"), again.base_ms("m26")), (Some(-1), None, Some(26)));
        assert_eq!(WrongClocks::from_text(&again.to_text()), again);
    }

    #[test]
    fn what_is_damaged_is_left_out() {
        let read = WrongClocks::from_text("a=1 b =c x=y d=-5 =");
        assert_eq!(read, WrongClocks::default().with("a", 1).with("d", -5));
        assert!(WrongClocks::from_text("").is_empty());
    }
}
