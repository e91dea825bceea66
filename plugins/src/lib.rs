//! CNI plugins: one program that acts by the name it is called by.
