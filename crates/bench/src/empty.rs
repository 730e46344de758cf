//! SKELETON: the workflow shape with empty activities.
