"""The flagship: transforms with a linear shortcut, a hyperprior, four passes, exact entropy control."""
