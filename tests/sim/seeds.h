/* Seeds that once found something in the core, or in the simulation itself. */
54878,
205718,  /* a release by force that was cut short made an outdated record match the key */
4750, 305178, 306333,
1005832,  /* an array without APTPL lost power: I/O of an owner that was giving up took effect under the next one */
1012221,  /* an attempt that a new document cut short put its key on the LUN, and a rival's intent replaced its record */
3738,     /* a new target process was not killed when it hung before its Hello */
1012944, 1021591, 1023755,
5011303,  /* what a restarted clusterd had read from its disk went back by a power loss */
10018832,  /* an owner that woke up long after its end replaced the only record of the key in force by its own */
10026575, 10036337, 10042980,
5012543, 10069180,  /* the node with the newest record was not one of the group's any more, and no key told */
