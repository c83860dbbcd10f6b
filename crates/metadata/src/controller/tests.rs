//! Behaviour of the controller.
