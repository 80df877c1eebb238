"""Goes for another container, by the port that it publishes on the host and by the address that it has itself."""

for address in sys.argv[2:]:
    step(address, lambda: reach(address, int(sys.argv[1])))
