//! `down`, `status`, `stop`, `start`, `kill`: act on a running `onboard up`.
