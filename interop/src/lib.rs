//! Other people's programs against the real binary.
