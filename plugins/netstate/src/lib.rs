//! Pure model of Linux network state: what is wanted, what is there, and the operations between.
