use std::time::Duration;

use tonic::Code;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Whether to open the stream again may help. Other codes ask for somebody to
/// look: the README of walstream says what each means.
pub fn can_help(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::ResourceExhausted
            // What a connection that breaks looks like.
            | Code::Internal | Code::Unknown | Code::Cancelled
    )
}

/// The code as gRPC and the README of walstream spell it, such as `DATA_LOSS`.
pub fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// A pause that may get twice as long each time. It is drawn at random, so
/// that many clients do not come back at the same moment.
#[derive(Default)]
pub struct Backoff {
    most: Duration,
}

impl Backoff {
    pub fn next_delay(&mut self) -> Duration {
        self.most = (self.most * 2).clamp(SHORTEST, LONGEST);
        SHORTEST + (self.most - SHORTEST).mul_f64(fastrand::f64())
    }

    pub fn reset(&mut self) {
        self.most = Duration::ZERO;
    }
}
