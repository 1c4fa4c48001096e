"""Measuring codecs side by side: rate, distortion, time and memory (extra ``[bench]``)."""
