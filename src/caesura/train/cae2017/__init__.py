"""The compressive autoencoder of Theis et al. 2017: convolutions, scale vectors, a factorized prior."""
