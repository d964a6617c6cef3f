# sources.cmake - the registry lists the simulated GPU where its device class is built.
file(GLOB sim_device CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sim/machine/sim_device.c)
if(sim_device)
    target_compile_definitions(moe_runtime PRIVATE MOE_WITH_SIM)
endif()
