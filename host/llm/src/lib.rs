//! The provider chain behind model classes.
