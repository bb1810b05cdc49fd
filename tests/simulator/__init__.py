"""The delivery algorithms on a clock and a network of our own: the real writer, relay, tail, feed and projector,
schedule after schedule as a seed says, with what a server loses, doubles, reorders, and whoever dies in between."""
