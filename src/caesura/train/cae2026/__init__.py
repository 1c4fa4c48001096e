"""The architecture `cae2026`: linear shortcuts, a hyperprior, four passes, exact entropy control."""
