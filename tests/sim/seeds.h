/* Seeds that once found something in the core, or in the simulation itself. */
54878,
205718,  /* a release by force that was cut short made an outdated record match the key */
4750, 305178, 306333,
