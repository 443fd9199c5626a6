"""Search one composition of techniques for a wanted speed or fidelity.

Data flows one way::

    setting, levels   one point of the space; the values it may have
    worker            one process: draws samples, measures one thing
    evaluations       what was measured, a file that only grows; the processes
    measuring         settings -> jobs -> what was measured of them
    parts             every technique alone -> the model of `additive`, schedules of `forecasts`
    propose           every composition, as the model sees it -> the few to measure next
    compose           round after round, until none is foretold to win
    choose            what was measured -> the front, and the setting of a target
    run               all of it in order, and the file that comes out
"""
