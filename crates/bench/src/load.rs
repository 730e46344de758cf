//! SKELETON: clients that register.
